"""Which pages may call the server: browser origins (CORS) and, on a loopback address, the Host header.

The rules are Ollama's (server/routes.go, allowedHostsMiddleware; envconfig, AllowedOrigins) and those of
the CORS middleware it uses: a page of a foreign origin gets 403 before any work is done.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from puna.server.headers import with_headers

_LOCAL_PAGES = tuple(
    f"{scheme}://{host}{port}"
    for host in ("localhost", "127.0.0.1", "0.0.0.0")
    for scheme in ("http", "https")
    for port in ("", ":*")
)
_APPLICATIONS = ("app://*", "file://*", "tauri://*", "vscode-webview://*", "vscode-file://*")
_LOCAL_DOMAINS = (".localhost", ".local", ".internal")
_REQUEST_HEADERS = (
    b"Authorization,Content-Type,User-Agent,Accept,X-Requested-With,OpenAI-Beta,x-stainless-arch,"
    b"x-stainless-async,x-stainless-custom-poll-interval,x-stainless-helper-method,x-stainless-lang,"
    b"x-stainless-os,x-stainless-package-version,x-stainless-poll-helper,x-stainless-retry-count,"
    b"x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout,x-api-key,anthropic-version,"
    b"anthropic-beta,anthropic-dangerous-direct-browser-access,x-stainless-helper,x-stainless-stream-helper,"
    b"puna-num-ctx"
)
"""Request headers that pages may send: Ollama's, Anthropic's browser client's, Puna's."""

_PREFLIGHT = [
    (b"access-control-allow-methods", b"GET,POST,PUT,PATCH,DELETE,HEAD,OPTIONS"),
    (b"access-control-allow-headers", _REQUEST_HEADERS),
    (b"access-control-max-age", b"43200"),
]


class Origins:
    """ASGI middleware. `origins` are added to the default ones; `host` is the address served on."""

    def __init__(self, app: ASGIApp, origins: Iterable[str], host: str) -> None:
        self._app = app
        allowed = [*origins, *_LOCAL_PAGES, *_APPLICATIONS]
        self._anyone = "*" in allowed
        self._allowed = re.compile("|".join(map(_pattern, allowed)), re.IGNORECASE)
        self._check_host = is_loopback(host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        host = headers.get(b"host", b"").decode("latin-1")
        origin = headers.get(b"origin", b"").decode("latin-1")
        cross = bool(origin) and origin not in (f"http://{host}", f"https://{host}")
        stranger = cross and not (self._anyone or self._allowed.fullmatch(origin))
        if stranger or (self._check_host and not is_local(host)):
            await _answer(send, 403)
        elif scope["method"] == "OPTIONS":
            await _answer(send, 204, [*self._grant(origin), *_PREFLIGHT] if cross else [])
        elif cross:
            await self._app(scope, receive, with_headers(send, *self._grant(origin)))
        else:
            await self._app(scope, receive, send)

    def _grant(self, origin: str) -> list[tuple[bytes, bytes]]:
        if self._anyone:
            return [(b"access-control-allow-origin", b"*")]
        return [(b"access-control-allow-origin", origin.encode("latin-1")), (b"vary", b"Origin")]


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server bound to `host`."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def is_local(host: str) -> bool:
    """Whether a Host header names this machine or its private network: a defence against DNS rebinding."""
    name = host.rsplit(":", 1)[0] if re.search(r"[^:]:\d*$|\]:\d*$", host) else host
    name = name.strip("[]").lower()
    address = _address(name)
    if address is not None:
        return address.is_loopback or address.is_private or address.is_unspecified or _is_ours(address)
    return name in ("", "localhost", socket.gethostname().lower()) or name.endswith(_LOCAL_DOMAINS)


def _is_ours(address: IPv4Address | IPv6Address) -> bool:
    import psutil

    cards = psutil.net_if_addrs().values()
    return any(_address(entry.address.partition("%")[0]) == address for card in cards for entry in card)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A dual-stack socket shows IPv4 clients as IPv4-mapped addresses.
    return getattr(address, "ipv4_mapped", None) or address


def _pattern(origin: str) -> str:
    return ".*".join(map(re.escape, origin.split("*")))


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]] | None = None) -> None:
    headers = headers or []
    if status != 204:
        headers.append((b"content-length", b"0"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body"})
