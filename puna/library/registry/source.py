"""A remote blob that can be read from any position."""

from __future__ import annotations

import re
import threading
from urllib.parse import urlsplit

from puna.errors import PunaError
from puna.library.registry.client import Registry
from puna.library.registry.transport import HTTPAnswer

_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_EXPIRED = (401, 403, 404, 410)


class RemoteBlob:
    """The blob `digest` of `size` bytes at `url`, which may redirect.

    Caches the redirect's target until it is refused, because such URLs are signed and expire.
    """

    def __init__(self, registry: Registry, url: str, digest: str, size: int) -> None:
        self.digest = digest
        self.size = size
        self._registry = registry
        self._url = url
        self._redirect = ""
        self._redirect_lock = threading.Lock()

    def open(self, first: int, end: int) -> tuple[HTTPAnswer, int]:
        """An answer with the bytes from `first` to `end`, and the position where it begins.

        The position is 0 when the server does not support ranges. Raises the errors of `Registry`, and
        PunaError when the answer cannot be this blob.
        """
        answer = self._ask(first, end)
        try:
            return answer, self._begins(answer, first)
        except BaseException:
            answer.close()
            raise

    def _ask(self, first: int, end: int) -> HTTPAnswer:
        # Every server supports a request for the whole blob without a range.
        headers = {} if (first, end) == (0, self.size) else {"Range": f"bytes={first}-{end - 1}"}
        with self._redirect_lock:
            redirect = self._redirect
        if redirect:
            answer = self._registry.request("GET", redirect, headers)
            if answer.status not in _EXPIRED:
                return answer
            answer.close()
        answer = self._registry.request("GET", self._url, headers)
        with self._redirect_lock:
            self._redirect = answer.url if answer.url != self._url and answer.status < 400 else ""
        return answer

    def _begins(self, answer: HTTPAnswer, first: int) -> int:
        if answer.status == 416:
            raise self.wrong_length("fewer bytes")
        answer.raise_for_status()
        if "text/html" in answer.headers.get("Content-Type", ""):
            host = urlsplit(answer.url).netloc
            raise PunaError(f"{host} answered with a web page instead of {self.digest}")
        length = answer.headers.get("Content-Length", "")
        if answer.status == 200:
            if length.isdigit() and int(length) != self.size:
                raise self.wrong_length(f"{length} bytes")
            return 0
        match = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        if answer.status != 206 or not match or int(match[1]) != first:
            raise PunaError(f"unexpected answer {answer.status} for {self.digest}")
        if match[3] not in ("*", str(self.size)):
            raise self.wrong_length(f"{match[3]} bytes")
        return first

    def wrong_length(self, length: str) -> PunaError:
        return PunaError(
            f"wrong length of {self.digest}: its manifest says {self.size} bytes, the registry has {length}"
        )
