"""Uploads a blob in sequential chunks, and resumes after a failure."""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from io import FileIO
from urllib.parse import urlencode

from puna.errors import NotFound, PunaError
from puna.library.registry.client import Body, Registry
from puna.library.registry.download import Cancelled
from puna.library.registry.errors import RegistryRefused, is_transient
from puna.library.registry.limits import TransferLimits
from puna.library.registry.repository import Repository
from puna.library.registry.transport import HTTPAnswer

_PIECE = 128 << 10
_BINARY = {"Content-Type": "application/octet-stream"}
_RECEIVED = re.compile(r"(?:bytes=)?0-(\d+)")


class Upload:
    """Uploads the open `file` as the blob `digest` to `repository`. `sent` counts bytes."""

    def __init__(
        self,
        registry: Registry,
        repository: Repository,
        digest: str,
        file: FileIO,
        limits: TransferLimits,
    ) -> None:
        self.sent = 0
        self.size = os.fstat(file.fileno()).st_size
        self._registry = registry
        self._repository = repository
        self._digest = digest
        self._file = file
        self._limits = limits
        self._stop = threading.Event()
        self._url = ""
        self._sums: list[bytes] = []
        """MD5 of each chunk that the registry redirected to its storage."""

    def cancel(self) -> None:
        """Stop `run` soon, with Cancelled. May be called from any thread."""
        self._stop.set()

    def run(self, source: str = "") -> None:
        """Upload the blob, or mount it from the repository `source`.

        Raises Cancelled, PunaError, or the last of too many consecutive failures.
        """
        failures, farthest, done = 0, 0, 0
        while True:
            try:
                if not self._url:
                    if self._begin(source):
                        break
                    done = 0
                while done < self.size:
                    done = self._send_chunk(done)
                self._commit()
                break
            except Exception as error:
                if self._stop.is_set():
                    raise Cancelled from None
                if not is_transient(error) and not self._restart(error):
                    raise
                failures = 1 if done > farthest else failures + 1
                farthest = max(farthest, done)
                if failures >= self._limits.attempts:
                    raise PunaError(f"max retries exceeded: {error}") from error
                if self._stop.wait(self._limits.wait(failures, error)):
                    raise Cancelled from None
                done = self._query_offset(done)
                self.sent = done
        self.sent = self.size

    def _begin(self, source: str) -> bool:
        """Start the upload; True if the registry mounted the blob from `source` instead."""
        url = self._repository.uploads(mount=self._digest, source=source)
        with closing(self._registry.request("POST", url, {"Content-Length": "0"}, follow=False)) as answer:
            answer.raise_for_status()
            if answer.status == 201:
                return True
            self._move(answer, url)
            self._sums = []
        return False

    def _send_chunk(self, first: int) -> int:
        """Send the chunk at position `first`; returns the next position."""
        end = min(self.size, first + self._limits.chunk)
        headers = {
            **_BINARY,
            "Content-Length": str(end - first),
            "Content-Range": f"{first}-{end - 1}",
            "X-Redirect-Uploads": "1",
        }
        url = self._url
        with closing(self._send("PATCH", url, headers, lambda: self._pieces(first, end))) as answer:
            self._move(answer, url)
            if answer.status == 307:
                elsewhere = self._registry.address(answer.headers.get("Location", ""), url)
                self._send_elsewhere(elsewhere, first, end)
        return end

    def _send_elsewhere(self, url: str, first: int, end: int) -> None:
        """Send a chunk to the URL that the registry redirects to (registry.ollama.ai does)."""
        headers = {**_BINARY, "Content-Length": str(end - first)}
        md5 = hashlib.md5(usedforsecurity=False)
        for piece in self._pieces(first, end):
            md5.update(piece)
        self._send("PUT", url, headers, lambda: self._pieces(first, end)).close()
        self._sums.append(md5.digest())

    def _commit(self) -> None:
        fields = {"digest": self._digest}
        if self._sums:
            md5 = hashlib.md5(b"".join(self._sums), usedforsecurity=False)
            fields["etag"] = f"{md5.hexdigest()}-{len(self._sums)}"
        url = f"{self._url}{'&' if '?' in self._url else '?'}{urlencode(fields)}"
        self._send("PUT", url, {**_BINARY, "Content-Length": "0"}).close()

    def _send(self, method: str, url: str, headers: dict[str, str], body: Body | None = None) -> HTTPAnswer:
        """The answer. Its timeout allows for the registry's verification. Raises like `raise_for_status`."""
        answer = self._registry.request(
            method, url, headers, body, follow=False, read_timeout=self._limits.commit
        )
        try:
            return answer.raise_for_status()
        except BaseException:
            answer.close()
            raise

    def _query_offset(self, done: int) -> int:
        """The bytes that the registry has of the interrupted upload; 0, to start again, if unknown."""
        if not self._url or self._sums:
            return done
        try:
            with closing(self._registry.request("GET", self._url, follow=False)) as answer:
                answer.raise_for_status()
                match = _RECEIVED.fullmatch(answer.headers.get("Range", ""))
                if answer.status == 204 and match:
                    self._move(answer, self._url)
                    return int(match[1]) + 1 if match[1] != "0" else 0
        except PunaError:
            pass
        self._url = ""
        return 0

    def _restart(self, error: Exception) -> bool:
        """Whether to restart the upload because the registry lost it."""
        lost = isinstance(error, NotFound) or (isinstance(error, RegistryRefused) and error.code == 416)
        if lost and self._url:
            self._url = ""
            return True
        return False

    def _move(self, answer: HTTPAnswer, below: str) -> None:
        location = answer.headers.get("Docker-Upload-Location") or answer.headers.get("Location")
        if not location:
            raise PunaError(f"the registry did not say where to upload {self._digest}")
        self._url = self._registry.address(location, below)

    def _pieces(self, first: int, end: int) -> Iterator[bytes]:
        self._file.seek(first)
        while first < end:
            if self._stop.is_set():
                raise Cancelled
            piece = self._file.read(min(_PIECE, end - first))
            if not piece:
                raise PunaError(f"the blob {self._digest} was cut while it was read")
            self.sent = first
            yield piece
            first += len(piece)
            self.sent = first
