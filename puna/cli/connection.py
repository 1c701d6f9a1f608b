"""The connection to the server, and its failures as messages for the user."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING

from puna.settings import Settings

if TYPE_CHECKING:
    from ssl import SSLContext

    from puna.cli.client import Client


_MAKES_CLIENT = re.compile(r"OLLAMA_HOST|SSL_CERT_(FILE|DIR)|\w+_PROXY", re.IGNORECASE)


class CommandFailed(Exception):
    """Ends a command with "Error: message" and status 1."""


class ModelMissing(CommandFailed):
    """The server does not have the model."""


def server_version(settings: Settings, timeout: float = 2.0) -> str | None:
    """The version of the server at `settings.url`; None if nothing answers within `timeout` seconds.

    "" for any other HTTP server. Uses http.client, because importing the client package would slow down
    `--version` and every `run`.
    """
    import http.client
    import json

    scheme, _, place = settings.url.partition("://")
    address, _, path = place.partition("/")
    connect = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
    try:
        with closing(connect(address, timeout=timeout)) as connection:
            connection.request("GET", f"/{path}/api/version" if path else "/api/version")
            body = json.loads(connection.getresponse().read())
            return str(body.get("version", "")) if isinstance(body, dict) else ""
    except (OSError, http.client.InvalidURL, UnicodeError):
        return None
    except (http.client.HTTPException, ValueError):
        return ""


def is_local(settings: Settings) -> bool:
    """Whether the server's address is on this machine (Ollama cmd.go, isLocalhost)."""
    import ipaddress

    if settings.host in ("", "localhost"):
        return True
    try:
        address = ipaddress.ip_address(settings.host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


@contextmanager
def connect(settings: Settings | None = None) -> Iterator[Client]:
    """A client for the server; its errors become CommandFailed."""
    settings = settings or Settings.from_environment()
    if not settings.api_key.isascii():
        raise CommandFailed("OLLAMA_API_KEY has characters that no key has")
    with client_errors(settings):
        from httpx import InvalidURL

        from puna.cli.client import Client

        try:
            # httpx itself reads NO_PROXY without its networks.
            client = Client(
                host=settings.url, proxy=_proxy(settings), trust_env=False, verify=_trust(settings)
            )
        except (InvalidURL, ValueError):
            raise _address_error(settings) from None
        with client:
            yield client


def _proxy(settings: Settings) -> str | None:
    """The proxy on the way to the server. Raises CommandFailed if httpx cannot use it."""
    from puna.proxies import proxy_for

    proxy = proxy_for(settings.url)
    if proxy and not proxy.lower().startswith(("http://", "https://")):
        raise CommandFailed(f"cannot use the proxy {_without_login(proxy)}: it must be an HTTP proxy")
    return proxy or None


def _without_login(proxy: str) -> str:
    scheme, _, rest = proxy.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _advice(settings: Settings) -> str:
    """What to check if the server does not answer."""
    if is_local(settings):
        return "is it running? start it with: puna serve"
    proxy = _proxy(settings) or ""
    return f"is it running there{proxy and f', and the proxy {_without_login(proxy)}'}?"


def _trust(settings: Settings) -> SSLContext | bool:
    """Certificates of the system, or of SSL_CERT_FILE."""
    if settings.scheme != "https":
        return True
    import os
    import ssl

    import certifi

    trust = ssl.create_default_context()
    if "SSL_CERT_FILE" not in os.environ:
        trust.load_verify_locations(certifi.where())
    return trust


def _address_error(settings: Settings) -> CommandFailed:
    return CommandFailed(f"OLLAMA_HOST names no address that can be reached: {settings.url}")


def _import_ollama() -> ModuleType:
    """The official client. Importing it makes a client from the environment, which may fail."""
    import os

    hidden = [name for name in os.environ if _MAKES_CLIENT.fullmatch(name)]
    kept = {name: os.environ.pop(name) for name in hidden}
    try:
        import ollama
    finally:
        os.environ.update(kept)
    return ollama


@contextmanager
def client_errors(settings: Settings) -> Iterator[None]:
    """Turns the client's errors into CommandFailed, or ModelMissing for a 404."""
    import httpx

    ollama = _import_ollama()
    try:
        yield
    except ollama.ResponseError as error:
        kind = ModelMissing if error.status_code == 404 else CommandFailed
        raise kind(error.error or f"{settings.url} answered with status {error.status_code}") from None
    except BrokenPipeError:
        raise  # Our output was closed; the server did not fail.
    except (ConnectionError, httpx.ConnectError, httpx.ConnectTimeout):
        raise CommandFailed(f"could not connect to Puna at {settings.url}: {_advice(settings)}") from None
    except UnicodeError:
        raise _address_error(settings) from None
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandFailed(f"talking to {settings.url} failed: {error}") from None
    except ValueError as error:  # Another program answers, or a proxy.
        reason = str(error).partition("\n")[0]
        raise CommandFailed(f"cannot read the answer from {settings.url}: {reason}") from None
