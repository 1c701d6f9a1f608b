"""HEAD and POST /api/blobs/:digest: the files that models are created from."""

from __future__ import annotations

import asyncio
import re
from asyncio import to_thread
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import Response

from puna.errors import BadRequest, PunaError
from puna.library import Library, WrongDigest, receive, upload_offset
from puna.server.origins import is_loopback
from puna.server.services import services_of

LOCAL_PATH = "puna-local-path"
"""Header: the file's path on this machine, percent-encoded. The server reads it from there."""

OFFSET = "upload-offset"
"""Header: the body's offset in the file (tus.io, core protocol). If such an upload is interrupted, the server
stores the received part, and HEAD reports its size."""

_PIECE = 1 << 20


class NotImported(PunaError):
    """The file cannot be read in place; the client must upload it."""

    status = 409


async def blob(request: Request) -> Response:
    """Whether the blob exists (HEAD), or its upload (POST): 201, or 200 if it exists already."""
    library, digest = services_of(request).library, request.path_params["digest"]
    there = await to_thread(library.blobs.pin, digest)
    if request.method == "HEAD":
        return Response() if there else await _upload_state(library, digest)
    if there:
        return Response()
    if local := request.headers.get(LOCAL_PATH):
        await to_thread(_take, library, digest, _path(request, local))
    else:
        offset = _offset(request)
        with _Pieces(request) as pieces:
            if offset is None:
                await to_thread(library.blobs.add, pieces, expected=digest)
            else:
                await to_thread(receive, library, digest, offset, pieces)
    return Response(status_code=201)


async def _upload_state(library: Library, digest: str) -> Response:
    size = await to_thread(upload_offset, library, digest)
    return Response(status_code=404, headers={OFFSET: str(size)} if size else {})


def _offset(request: Request) -> int | None:
    """The body's offset in the file; None if the body is the whole file. Raises BadRequest."""
    written = request.headers.get(OFFSET)
    if written is not None and not re.fullmatch("[0-9]{1,18}", written):
        raise BadRequest(f'invalid header Upload-Offset: "{written}" is no count of bytes', "Upload-Offset")
    return None if written is None else int(written)


def _path(request: Request, written: str) -> Path:
    """The absolute path in the header. Raises NotImported unless the client is on this machine."""
    client = request.client
    # A proxy on this machine forwards remote requests from a loopback address.
    forwarded = any(name in request.headers for name in ("forwarded", "x-forwarded-for", "via"))
    if client is None or not is_loopback(client.host) or forwarded:
        raise NotImported("only a client on this machine can name a path")
    path = Path(unquote(written))
    if not path.is_absolute():
        raise NotImported(f"{path} is not an absolute path")
    return path


def _take(library: Library, digest: str, path: Path) -> None:
    # The digest proves that the client can read the file, too.
    try:
        library.blobs.import_file(path, expected=digest)
    except WrongDigest:
        raise
    except PunaError as error:
        raise NotImported(str(error)) from error
    except (OSError, ValueError) as error:
        raise NotImported(f"cannot read {path}: {error}") from error


class _Pieces:
    """Reads a request's body from a thread, in pieces of 1 MiB, and prefetches the next piece."""

    def __init__(self, request: Request) -> None:
        self._loop = asyncio.get_running_loop()
        self._stream = request.stream()
        self._next: Future[bytes] | None = None
        self._closed = False

    def __enter__(self) -> _Pieces:
        return self

    def __exit__(self, *_: object) -> None:
        """Wake the thread that waits for a piece, if the request was cancelled."""
        self._closed = True
        if self._next:
            self._next.cancel()

    def __iter__(self) -> Iterator[bytes]:
        self._ask()
        while piece := self._wait():
            self._ask()
            yield piece

    def _ask(self) -> None:
        self._next = asyncio.run_coroutine_threadsafe(_piece(self._stream), self._loop)
        if self._closed:
            self._next.cancel()

    def _wait(self) -> bytes:
        assert self._next is not None
        return self._next.result()


async def _piece(stream: AsyncIterator[bytes]) -> bytes:
    """The next MiB or a little more; less only at the end."""
    received = bytearray()
    while len(received) < _PIECE:
        try:
            received += await anext(stream)
        except StopAsyncIteration:
            break
    return bytes(received)
