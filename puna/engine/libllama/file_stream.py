"""Opens a language model for libllama.

A file that has to be converted becomes a C stream (fopencookie(3), a GNU extension): nothing is copied.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from puna.engine.ollama_gguf import EditedFile, edited, language_model
from puna.errors import LoadFailed

_log = logging.getLogger(__name__)

_PIECE = 8 << 20
"""Bytes read at once at most."""

_Read = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
_Seek = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_int64), ctypes.c_int)


class _Functions(ctypes.Structure):
    """`cookie_io_functions_t`."""

    _fields_ = (("read", _Read), ("write", ctypes.c_void_p), ("seek", _Seek), ("close", ctypes.c_void_p))


def _open() -> tuple[Any, Any]:
    """`fopencookie` and `fclose`; None where there are none."""
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        fopencookie, fclose = libc.fopencookie, libc.fclose
    except AttributeError:
        return None, None
    fopencookie.restype = ctypes.c_void_p
    fopencookie.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _Functions]
    fclose.argtypes = [ctypes.c_void_p]
    return fopencookie, fclose


_fopencookie, _fclose = _open()


@contextmanager
def opened(path: str, *, mtp: bool) -> Iterator[str | ctypes.c_void_p]:
    """The language model in libllama's form, valid within the block: a path, or a `FILE *` that converts it.

    `mtp`: its MTP layer is used. Raises OSError, LoadFailed.
    """
    if _fopencookie is None:
        with language_model(path, mtp=mtp) as readable:
            yield readable
        return
    with edited(path, mtp=mtp) as file:
        if file is None:
            yield path
        else:
            with _stream(file) as converted:
                yield converted


@contextmanager
def _stream(file: EditedFile) -> Iterator[ctypes.c_void_p]:
    """A `FILE *` to read `file` with, open within the block. Raises OSError."""
    at = 0

    def read(_cookie: int, buffer: int, size: int) -> int:
        nonlocal at
        size = min(size, _PIECE)
        try:
            count = file.read_into(memoryview((ctypes.c_char * size).from_address(buffer)).cast("B"), at)
        except (OSError, LoadFailed) as error:
            _log.error("%s", error)
            ctypes.set_errno(errno.EIO)
            return -1
        at += count
        return count

    def seek(_cookie: int, offset: Any, whence: int) -> int:
        nonlocal at
        base = {os.SEEK_SET: 0, os.SEEK_CUR: at, os.SEEK_END: file.size}[whence]
        if base + offset[0] < 0:
            ctypes.set_errno(errno.EINVAL)
            return -1
        at = offset[0] = base + offset[0]
        return 0

    functions = _Functions(read=_Read(read), seek=_Seek(seek))
    opened = _fopencookie(None, b"rb", functions)
    if not opened:
        raise OSError(ctypes.get_errno(), "cannot open a stream")
    try:
        yield ctypes.c_void_p(opened)
    finally:
        _fclose(opened)
