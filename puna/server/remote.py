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

MAX_FILE_BYTES = 20 << 20
"""Of one file."""
TIMEOUT = 10.0
"""Seconds for one file, redirects included."""
MAX_REDIRECTS = 5
CONCURRENCY = 8
"""Files that the server fetches at the same time."""
MAX_URLS = 100
"""Of one request."""
MAX_REQUEST_BYTES = 256 << 20
"""Of all files of one request: the limit of a body with inline files."""

_CONNECT_TIMEOUT = 3.0
"""Seconds for one IP address of a host, so that a dead one leaves time for the next."""
_MAX_ADDRESSES = 4
"""IP addresses tried for a host."""
_MAX_URL_SHOWN = 200
"""Characters of a URL that an error repeats."""
_REDIRECT_STATUSES = (301, 302, 303, 307, 308)
_HEADERS = {"Accept-Encoding": "identity", "User-Agent": f"puna/{__version__}"}
_TEXT = re.compile(r"text/|application/(?:xhtml\+xml|xml|json)")


class Fetched(NamedTuple):
    """A fetched file or page. `url` is the URL after redirects."""

    content: bytes
    url: str
    content_type: str


class _Accepted(NamedTuple):
    """The responses to accept."""

    accept: str
    """The Accept header."""
    content_type: re.Pattern[str]
    """Matches the start of the Content-Type."""
    files: dict[str, bytes]
    """File kinds by signature (puna.file_kinds); empty for any."""

    def fits(self, content: bytearray) -> bool:
        return not self.files or kind_of(content, self.files) is not None


_FILE = _Accepted("image/*, audio/*", re.compile(""), IMAGES | SOUNDS)
_PAGE = _Accepted("text/html, text/*;q=0.9", _TEXT, {})


class _FetchFailed(Exception):
    """The reason is only logged: it would reveal the server's network to a client."""


class _TooManyBytes(Exception):
    """The files of this request exceed MAX_REQUEST_BYTES."""


class Remote:
    """Fetches images, audio and pages; with `private`, from private addresses, too.

    Ignores the environment's proxies, because a proxy hides the address it connects to.
    """

    def __init__(self, *, private: bool = False) -> None:
        self._private = private
        self._semaphore = asyncio.Semaphore(CONCURRENCY)
        self._files = self._bytes = math.inf
        self._check_allowed: Callable[[], Awaitable[None]] | None = None

    def for_request(self, check_allowed: Callable[[], Awaitable[None]] | None = None) -> Remote:
        """A copy for one request, with its own limits: MAX_URLS files, MAX_REQUEST_BYTES bytes.

        `check_allowed` is awaited before each fetch, and raises when the model takes no media.
        """
        copied = copy.copy(self)
        copied._check_allowed = check_allowed
        copied._files, copied._bytes = MAX_URLS, MAX_REQUEST_BYTES
        return copied

    async def fetch(self, url: str, field: str) -> bytes:
        """The picture or sound at a URL.

        Raises BadRequest for `field`, with the same message for every failure.
        """
        url = url.strip()
        shown = url if len(url) <= _MAX_URL_SHOWN else url[:_MAX_URL_SHOWN] + "…"
        try:
            address = _parse(url)
        except _FetchFailed as error:
            raise InvalidField(field, f'invalid URL "{shown}": {error}') from None
        self._files -= 1
        if self._files < 0:
            raise InvalidField(field, f"a request may name at most {MAX_URLS} URLs")
        if self._check_allowed:
            await self._check_allowed()
        async with self._semaphore:
            try:
                return (await asyncio.wait_for(self._follow_redirects(address, _FILE), TIMEOUT)).content
            except _TooManyBytes:
                raise InvalidField(
                    field, f"the files of a request may have at most {MAX_REQUEST_BYTES >> 20} MB together"
                ) from None
            except (_FetchFailed, asyncio.TimeoutError) as error:
                _log.info("nothing from %s: %s", address.netloc.decode(), str(error) or "it took too long")
                raise InvalidField(field, f'cannot fetch "{shown}": {self._rules()}') from None

    async def fetch_page(self, url: str) -> Fetched:
        """The text at a URL. Raises BadRequest for `url`, with the same message for every failure."""
        try:
            async with self._semaphore:
                return await asyncio.wait_for(self._follow_redirects(_parse(url), _PAGE), TIMEOUT)
        except (_FetchFailed, _TooManyBytes, asyncio.TimeoutError) as error:
            # The query may hold secrets.
            shown = url.partition("?")[0][:_MAX_URL_SHOWN]
            _log.info("nothing from %s: %s", shown, str(error) or "it took too long")
            where = "" if self._private else " at a public address"
            what = f"it must be a page or a text of at most {MAX_FILE_BYTES >> 20} MB{where}"
            raise InvalidField("url", f'cannot fetch "{url[:_MAX_URL_SHOWN]}": {what}') from None

    def _rules(self) -> str:
        where = "" if self._private else " at a public address"
        return (
            f"it must be a PNG, JPEG, WebP, GIF, WAV, MP3 or FLAC file of at most {MAX_FILE_BYTES >> 20} MB"
            f"{where}, and come within {TIMEOUT:g} seconds"
        )

    async def _follow_redirects(self, url: httpx.URL, accepted: _Accepted) -> Fetched:
        import httpx

        for _ in range(MAX_REDIRECTS + 1):
            try:
                found = await self._fetch_once(url, accepted)
            except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
                raise _FetchFailed(repr(error)) from None
            if isinstance(found, Fetched):
                return found
            url = found
        raise _FetchFailed(f"more than {MAX_REDIRECTS} redirects")

    async def _fetch_once(self, url: httpx.URL, accepted: _Accepted) -> Fetched | httpx.URL:
        """The file, or the URL of a redirect.

        Connects to the checked IP address without resolving the name again (DNS rebinding). Requests share no
        connections, cookies or credentials.
        """
        import httpx

        headers = {**_HEADERS, "Accept": accepted.accept, "Host": url.netloc.decode("ascii")}
        extensions = {"timeout": {"connect": _CONNECT_TIMEOUT}, "sni_hostname": url.raw_host.decode("ascii")}
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
                    return await self._read(answer, url, accepted)
                finally:
                    await answer.aclose()
        raise _FetchFailed(reason)

    async def _addresses(self, url: httpx.URL) -> list[str]:
        """The IP addresses of the URL's host. Raises _FetchFailed if any of them is private."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(url.raw_host.decode("ascii"), url.port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise _FetchFailed("its host is no name") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        if not self._private and not all(map(is_public, addresses)):
            raise _FetchFailed("its address is not public (PUNA_FETCH_PRIVATE)")
        return addresses[:_MAX_ADDRESSES]

    async def _read(self, answer: httpx.Response, url: httpx.URL, accepted: _Accepted) -> Fetched | httpx.URL:
        if answer.status_code in _REDIRECT_STATUSES and "location" in answer.headers:
            return _parse(str(url.join(answer.headers["location"])))
        if answer.status_code != 200:
            raise _FetchFailed(f"status {answer.status_code}")
        content_type = answer.headers.get("content-type", "")
        if not accepted.content_type.match(content_type):
            raise _FetchFailed(f"it is {content_type}")
        length = answer.headers.get("content-length", "")
        if length.isdigit() and int(length) > MAX_FILE_BYTES:
            raise _FetchFailed("it is too large")
        file = bytearray()
        # Raw, because a compressed body may expand without limit. Compressed files fail the signature check.
        async for piece in answer.aiter_raw():
            file += piece
            self._bytes -= len(piece)
            if len(file) >= LONGEST_START and not accepted.fits(file):
                raise _FetchFailed("it is neither an image nor a sound")
            if len(file) > MAX_FILE_BYTES:
                raise _FetchFailed("it is too large")
            if self._bytes < 0:
                raise _TooManyBytes
        if not accepted.fits(file):
            raise _FetchFailed("it is neither an image nor a sound")
        return Fetched(bytes(file), str(url), content_type)


def _parse(url: str) -> httpx.URL:
    """The http(s) URL. Raises _FetchFailed."""
    import httpx

    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        raise _FetchFailed("it is not a URL") from None
    if parsed.scheme not in ("http", "https"):
        raise _FetchFailed("only http and https URLs are fetched")
    if not parsed.raw_host:
        raise _FetchFailed("it names no host")
    if parsed.userinfo:
        raise _FetchFailed("it must not hold a user name or password")
    if parsed.port is not None and not 0 < parsed.port < 65536:
        raise _FetchFailed("its port is not a port")
    return parsed


@cache
def _certificates() -> ssl.SSLContext:
    """The trusted authorities, from SSL_CERT_FILE and SSL_CERT_DIR if set. Cached: reading them is slow."""
    import httpx

    return httpx.create_ssl_context()
