"""HTTP over pooled connections."""

from __future__ import annotations

import platform
import ssl
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from math import ceil
from typing import Any
from urllib.parse import unquote, urlsplit

import certifi
import urllib3
from urllib3 import exceptions

from puna import __version__
from puna.errors import NotFound, PunaError
from puna.library.registry.allowed import AllowedHosts, host_and_port
from puna.library.registry.errors import Interrupted, RegistryRefused, Silent, Unreachable
from puna.library.registry.guarded import POOLS, check_host
from puna.library.registry.limits import TransferLimits
from puna.proxies import proxy_for

_MACHINE = f"{platform.machine()} {platform.system().lower()}"
_AGENT = f"puna/{__version__} ({_MACHINE}) Python/{platform.python_version()}"

MAX_ANSWER = 1 << 20
"""Maximum bytes of a token or an error."""
_WORTH_READING = 64 << 10
"""Most bytes worth reading to reuse a connection."""


class HTTPAnswer:
    """A response's status and headers; its body is read later."""

    def __init__(self, url: str, response: urllib3.BaseHTTPResponse) -> None:
        self.url = url
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._broken = False

    def read(self, most: int) -> bytes:
        """The next bytes that are available, at most `most`; b"" at the end. Raises Interrupted."""
        try:
            with _transport_errors(self.url):
                return self._response.read1(most, decode_content=False)
        except Interrupted:
            self._broken = True
            raise

    def all(self, most: int) -> bytes:
        """The whole body. Raises Interrupted, and PunaError when it is longer than `most` bytes."""
        body = bytearray()
        while piece := self.read(64 << 10):
            body += piece
            if len(body) > most:
                self.close()
                raise PunaError(
                    f"{_host(self.url)} sent more than {most >> 20} MB where a short answer belongs"
                )
        return bytes(body)

    def raise_for_status(self) -> HTTPAnswer:
        """This answer. Raises NotFound, or RegistryRefused with its message for another error status."""
        if self.status < 400:
            return self
        text = self.all(MAX_ANSWER).decode(errors="replace").strip()
        self.close()
        if self.status == 404:
            raise NotFound("file does not exist")
        if "html" in self.headers.get("Content-Type", ""):
            text = f"{urlsplit(self.url).netloc} answered with a web page"
        wait = self._retry_after()
        hint = f" (it asks to wait for {wait} s)" if wait else ""
        raise RegistryRefused(self.status, f"{self.status}: {text[:500]}{hint}", wait)

    def _retry_after(self) -> int:
        """The wait that the answer asks for, in seconds; 0 for none (RFC 9110, Retry-After)."""
        with suppress(exceptions.InvalidHeader, ValueError, OverflowError):
            return ceil(urllib3.Retry().get_retry_after(self._response) or 0)
        return 0

    def wake(self) -> None:
        """Wake a thread that waits in `read`. May be called from any thread."""
        with suppress(Exception):  # The connection may have ended meanwhile, in many ways.
            self._response.shutdown()

    def close(self) -> None:
        """Close the answer. The connection is reused if the unread rest is short."""
        left = self._response.length_remaining
        with suppress(OSError, exceptions.HTTPError):
            if not self._broken and left is not None and left <= _WORTH_READING:
                self._response.drain_conn()
            else:
                self._response.close()


class Transport:
    """The connections of one pull or push. May be used from several threads."""

    def __init__(self, limits: TransferLimits, user_host: str, allowed: AllowedHosts) -> None:
        """`user_host` is the host that the user named; others must be public, or named in `allowed`."""
        self._limits = limits
        self._user_host = user_host
        self._allowed = allowed
        self._pools: dict[tuple[str, str, bool], urllib3.PoolManager] = {}
        self._guard = threading.Lock()

    def send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | Iterable[bytes] | None = None,
        *,
        read_timeout: float | None = None,
    ) -> HTTPAnswer:
        """The answer to one request, of any status; redirects are answers, too.

        `read_timeout` is in seconds. Raises Unreachable, Interrupted, and NotAllowed for a
        private host.
        """
        timeout = urllib3.Timeout(connect=self._limits.connect, read=read_timeout or self._limits.stall)
        with _transport_errors(url):
            response = self._pool(url).request(
                method,
                url,
                headers={"User-Agent": _AGENT, "Accept-Encoding": "identity", **headers},
                body=body,
                timeout=timeout,
                redirect=False,
                preload_content=False,
                decode_content=False,
            )
        return HTTPAnswer(url, response)

    def close(self) -> None:
        for pool in list(self._pools.values()):
            pool.clear()

    def _pool(self, url: str) -> urllib3.PoolManager:
        trusted = host_and_port(url) == host_and_port(
            f"{urlsplit(url).scheme}://{self._user_host}"
        ) or self._allowed.names(url)
        key = (urlsplit(url).scheme, proxy_for(url), trusted)
        if key[1] and not trusted:
            check_host(host_and_port(url)[0])
        with self._guard:
            if key not in self._pools:
                self._pools[key] = self._make_pool(*key)
            return self._pools[key]

    def _make_pool(self, scheme: str, proxy: str, trusted: bool) -> urllib3.PoolManager:
        settings: dict[str, Any] = {"maxsize": self._limits.streams, "retries": False}
        if scheme == "https":  # Loading the certificates takes longer than many a request.
            settings["ssl_context"] = _ssl_context()
        if not proxy:
            manager = urllib3.PoolManager(**settings)
            if not trusted:
                manager.pool_classes_by_scheme = POOLS
            return manager
        parts = urlsplit(proxy)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        headers = urllib3.make_headers(proxy_basic_auth=login)
        try:
            return urllib3.ProxyManager(proxy, proxy_headers=headers, **settings)
        except (exceptions.ProxySchemeUnknown, exceptions.LocationParseError) as error:
            raise PunaError(f"cannot use the proxy {parts.scheme}://{parts.hostname}: {error}") from error


def _ssl_context() -> ssl.SSLContext:
    """The certificates of the system and of certifi, because not every Python finds its system's."""
    context = ssl.create_default_context()
    with suppress(OSError):
        context.load_verify_locations(certifi.where())
    return context


@contextmanager
def _transport_errors(url: str) -> Iterator[None]:
    """Turns urllib3's errors into ones that name the host and the remedy."""
    host = _host(url)
    try:
        yield
    except exceptions.NameResolutionError as error:
        raise Unreachable(f"cannot find {host}: {_ADVICE}") from error
    except exceptions.NewConnectionError as error:
        reason = error.__cause__ or error.__context__ or error
        raise Unreachable(
            f"cannot reach {host}: {getattr(reason, 'strerror', None) or reason}; {_ADVICE}"
        ) from error
    except exceptions.ConnectTimeoutError as error:
        raise Unreachable(f"cannot reach {host}: no answer in time; {_ADVICE}") from error
    except exceptions.ProxyError as error:
        proxy = urlsplit(proxy_for(url)).netloc.rpartition("@")[2]
        reason = error.original_error
        raise Unreachable(f"cannot reach {host} through the proxy {proxy}: {reason}") from error
    except exceptions.SSLError as error:
        raise Unreachable(f"cannot speak HTTPS with {host}: {_reason(error)}") from error
    except exceptions.TimeoutError as error:
        raise Silent(f"{host} sent nothing for a while") from error
    except exceptions.LocationValueError as error:
        raise PunaError(f"cannot use the address {url!r}: {error}") from error
    except (exceptions.HTTPError, OSError) as error:
        raise Interrupted(f"the connection to {host} broke: {_reason(error)}") from error


_ADVICE = "check the network, and HTTPS_PROXY if there is a proxy on the way"


def _reason(error: Exception) -> str:
    text = str(error)
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text.lower():
        return "it speaks plain HTTP; use --insecure if you trust it and the way to it"
    reason = error.args[-1] if error.args else error
    return str(getattr(reason, "verify_message", None) or reason)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
