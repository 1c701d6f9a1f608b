"""Fetches files and pages from public addresses. Errors never reveal what is at an address."""

from __future__ import annotations

import asyncio
import copy
import logging
import math
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from puna import __version__
from puna.errors import InvalidField
from puna.file_kinds import IMAGES, LONGEST_START, SOUNDS, kind_of
from puna.library import is_public

if TYPE_CHECKING:
    import httpx

_log = logging.getLogger(__name__)

LARGEST = 20 << 20
"""Bytes that a file may have."""
SECONDS = 10.0
"""That a file may take, redirects included."""
REDIRECTS = 5
AT_ONCE = 8
"""Files fetched at any time."""
FILES = 100
"""That one request may name."""
TOGETHER = 256 << 20
"""Bytes that the files of one request may have: as many as a body that holds the files themselves."""

_CONNECTING = 3.0
"""Seconds for one of a name's addresses, so that a dead one leaves time for the next."""
_ADDRESSES = 4
"""Tried at most."""
_SHOWN = 200
"""Characters of a URL that an error repeats."""
_MOVED = (301, 302, 303, 307, 308)
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"puna/{__version__}"}
_TEXT = re.compile(r"text/|application/(?:xhtml\+xml|xml|json)")


class Fetched(NamedTuple):
    """The content at a URL, the URL after redirects, and the Content-Type."""

    content: bytes
    url: str
    kind: str


class _Wanted(NamedTuple):
    """What to accept."""

    accept: str
    kind: re.Pattern[str]
    """How the Content-Type begins."""
    files: dict[str, bytes]
    """The kinds of files, unless any will do."""

    def fits(self, content: bytearray) -> bool:
        return not self.files or kind_of(content, self.files) is not None


_FILE = _Wanted("image/*, audio/*", re.compile(""), IMAGES | SOUNDS)
_PAGE = _Wanted("text/html, text/*;q=0.9", _TEXT, {})


class _Failed(Exception):
    """Why a fetch failed. It is only logged, because it would tell a client about the network."""


class _Exhausted(Exception):
    """The files of this request are too large together."""


class Remote:
    """Fetches images, audio and pages; with `private`, from its own network, too.

    The environment's proxies are not used, because a proxy hides which address it connects to.
    """

    def __init__(self, *, private: bool = False) -> None:
        self._private = private
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._files = self._bytes = math.inf
        self._allowed: Callable[[], Awaitable[None]] | None = None

    def visit(self, allowed: Callable[[], Awaitable[None]] | None = None) -> Remote:
        """A copy for one request, with its own limits: FILES files, TOGETHER bytes.

        `allowed` is awaited before each fetch, and raises when the model takes no media.
        """
        visit = copy.copy(self)
        visit._allowed = allowed
        visit._files, visit._bytes = FILES, TOGETHER
        return visit

    async def fetched(self, url: str, field: str) -> bytes:
        """The picture or sound at a URL.

        Raises BadRequest, which names `field`, in the same words whatever went wrong.
        """
        url = url.strip()
        shown = url if len(url) <= _SHOWN else url[:_SHOWN] + "…"
        try:
            address = _parsed(url)
        except _Failed as error:
            raise InvalidField(field, f'invalid URL "{shown}": {error}') from None
        self._files -= 1
        if self._files < 0:
            raise InvalidField(field, f"a request may name at most {FILES} URLs")
        if self._allowed:
            await self._allowed()
        async with self._turns:
            try:
                return (await asyncio.wait_for(self._followed(address, _FILE), SECONDS)).content
            except _Exhausted:
                raise InvalidField(
                    field, f"the files of a request may have at most {TOGETHER >> 20} MB together"
                ) from None
            except (_Failed, asyncio.TimeoutError) as error:
                _log.info("nothing from %s: %s", address.netloc.decode(), str(error) or "it took too long")
                raise InvalidField(field, f'cannot fetch "{shown}": {self._rules()}') from None

    async def page(self, url: str) -> Fetched:
        """The text at a URL. Raises BadRequest naming `url`, in the same words whatever went wrong."""
        try:
            async with self._turns:
                return await asyncio.wait_for(self._followed(_parsed(url), _PAGE), SECONDS)
        except (_Failed, _Exhausted, asyncio.TimeoutError) as error:
            # The query may hold secrets.
            shown = url.partition("?")[0][:_SHOWN]
            _log.info("nothing from %s: %s", shown, str(error) or "it took too long")
            where = "" if self._private else " at a public address"
            what = f"it must be a page or a text of at most {LARGEST >> 20} MB{where}"
            raise InvalidField("url", f'cannot fetch "{url[:_SHOWN]}": {what}') from None

    def _rules(self) -> str:
        where = "" if self._private else " at a public address"
        return (
            f"it must be a PNG, JPEG, WebP, GIF, WAV, MP3 or FLAC file of at most {LARGEST >> 20} MB{where}, "
            f"and come within {SECONDS:g} seconds"
        )

    async def _followed(self, url: httpx.URL, wanted: _Wanted) -> Fetched:
        import httpx

        for _ in range(REDIRECTS + 1):
            try:
                found = await self._fetch_once(url, wanted)
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise _Failed(repr(error)) from None
            if isinstance(found, Fetched):
                return found
            url = found
        raise _Failed(f"more than {REDIRECTS} redirects")

    async def _fetch_once(self, url: httpx.URL, wanted: _Wanted) -> Fetched | httpx.URL:
        """The file, or where it redirects to.

        Each request has its own connection, to the address that was checked: the name is not resolved again,
        and no cookies, credentials or connections are shared.
        """
        import httpx

        headers = {**_HEADERS, "Accept": wanted.accept, "Host": url.netloc.decode("ascii")}
        extensions = {"timeout": {"connect": _CONNECTING}, "sni_hostname": url.raw_host.decode("ascii")}
        certificates = await asyncio.to_thread(_certificates)
        reason = "it has no address"
        for address in await self._addresses(url):
            request = httpx.Request(
                "GET", url.copy_with(host=address), headers=headers, extensions=extensions
            )
            async with httpx.AsyncHTTPTransport(verify=certificates, trust_env=False) as transport:
                try:
                    answer = await transport.handle_async_request(request)
                except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                    reason = repr(error)
                    continue
                try:
                    return await self._read(answer, url, wanted)
                finally:
                    await answer.aclose()
        raise _Failed(reason)

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """The addresses of the URL's host. One that is not public refuses them all."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(url.raw_host.decode("ascii"), url.port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise _Failed("its host is no name") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._private and not all(map(is_public, addresses)):
            raise _Failed("its address is not public (PUNA_FETCH_PRIVATE)")
        return addresses[:_ADDRESSES]

    async def _read(self, answer: httpx.Response, url: httpx.URL, wanted: _Wanted) -> Fetched | httpx.URL:
        if answer.status_code in _MOVED and "location" in answer.headers:
            return _parsed(str(url.join(answer.headers["location"])))
        if answer.status_code != 200:
            raise _Failed(f"status {answer.status_code}")
        kind = answer.headers.get("content-type", "")
        if not wanted.kind.match(kind):
            raise _Failed(f"it is {kind}")
        length = answer.headers.get("content-length", "")
        if length.isdigit() and int(length) > LARGEST:
            raise _Failed("it is too large")
        file = bytearray()
        # Raw, because a compressed body may expand without end; it is of no kind that fits.
        async for piece in answer.aiter_raw():
            file += piece
            self._bytes -= len(piece)
            if len(file) >= LONGEST_START and not wanted.fits(file):
                raise _Failed("it is neither an image nor a sound")
            if len(file) > LARGEST:
                raise _Failed("it is too large")
            if self._bytes < 0:
                raise _Exhausted
        if not wanted.fits(file):
            raise _Failed("it is neither an image nor a sound")
        return Fetched(bytes(file), str(url), kind)


def _parsed(url: str) -> httpx.URL:
    """The URL, if it is of a kind that is fetched. Raises _Failed with what is wrong with it."""
    import httpx

    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise _Failed("it is not a URL") from None
    if parsed.scheme not in ("http", "https"):
        raise _Failed("only http and https URLs are fetched")
    if not parsed.raw_host:
        raise _Failed("it names no host")
    if parsed.userinfo:
        raise _Failed("it must not hold a user name or password")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise _Failed("its port is not a port")
    return parsed


@cache
def _certificates() -> ssl.SSLContext:
    """The authorities to trust (SSL_CERT_FILE and SSL_CERT_DIR count); reading them takes a while."""
    import httpx

    return httpx.create_ssl_context()
