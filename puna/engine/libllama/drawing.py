"""Native drawing: the next tokens of many answers in one call, on all threads.

`native/drawing.h` in `puna.kernels` declares what is mirrored here.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, cast

import llama_cpp as C

from puna.engine.libllama.kernels import native
from puna.engine.penalties import Penalties
from puna.options import Options

_CANDIDATES = (12, 32)
"""Bytes of libllama's `llama_token_data` and `llama_token_data_array`, as `native/drawing.h` has them."""


class SamplingMethod(IntEnum):
    GREEDY = 0
    CHAIN = 1
    MIN_P = 2
    NUCLEUS = 3
    MIROSTAT = 4


class _Options(ctypes.Structure):
    _fields_ = (
        ("method", ctypes.c_int32),
        ("top_k", ctypes.c_int32),
        *((name, ctypes.c_float) for name in ("top_p", "min_p", "temperature", "tau", "eta")),
        *((name, ctypes.c_float) for name in ("repeat", "frequency", "presence")),
        ("seed", ctypes.c_uint32),
        ("chain", ctypes.c_void_p),
    )


class _Row(ctypes.Structure):
    _fields_ = (
        ("sampler", ctypes.c_void_p),
        ("logits", ctypes.c_void_p),
        ("ids", ctypes.c_void_p),
        ("counts", ctypes.c_void_p),
        ("distinct", ctypes.c_int64),
        ("token", ctypes.c_int32),
    )


class Drawing:
    """Draws from rows of one model's logits; one call at a time."""

    def __init__(self, library: ctypes.CDLL, handle: int) -> None:
        self.library = library
        self._handle = ctypes.c_void_p(handle)

    def draw(self, draws: Sequence[Draws], threads: int) -> None:
        """Draw a token for each sampler, into its `token`."""
        rows = (ctypes.c_void_p * len(draws))(*[draw.address for draw in draws])
        self.library.puna_drawing_draw(self._handle, rows, len(draws), threads)

    def close(self) -> None:
        self.library.puna_drawing_free(self._handle)


def drawing(n_vocab: int) -> Drawing | None:
    """None where there is no native code, or none for this processor or this libllama."""
    library = native()
    sizes = ctypes.sizeof(C.llama_token_data), ctypes.sizeof(C.llama_token_data_array)
    if library is None or sizes != _CANDIDATES:
        return None
    library.puna_drawing_new.restype = library.puna_sampler_new.restype = ctypes.c_void_p
    apply = ctypes.cast(cast(Any, C.llama_sampler_apply), ctypes.c_void_p)
    handle = library.puna_drawing_new(ctypes.c_int64(n_vocab), apply)
    return Drawing(library, handle) if handle else None


class Draws:
    """One request's draws. `logits` is the address of what the next is drawn from."""

    def __init__(
        self, drawing: Drawing, method: SamplingMethod, options: Options, penalties: Penalties, chain: Any
    ) -> None:
        seed = options.seed & 0xFFFFFFFF if options.seed >= 0 else secrets.randbits(32)
        o = options
        given = _Options(
            method,
            0 if o.mirostat else max(0, min(o.top_k, 1 << 30)),
            *(o.top_p, o.min_p, o.temperature, o.mirostat_tau, o.mirostat_eta),
            *(o.repeat_penalty, o.frequency_penalty, o.presence_penalty),
            seed,
            ctypes.cast(chain, ctypes.c_void_p),
        )
        self._drawing = drawing
        self._penalties = penalties
        self._sampler = ctypes.c_void_p(drawing.library.puna_sampler_new(ctypes.byref(given)))
        ids, counts = penalties.arrays
        self._row = _Row(self._sampler, None, ids.ctypes.data, counts.ctypes.data, 0, 0)
        self.address = ctypes.addressof(self._row)

    def ready(self, logits: int) -> Draws:
        """Let the next token be drawn from the row of logits at this address."""
        self._row.logits, self._row.distinct = logits, self._penalties.distinct
        return self

    @property
    def token(self) -> int:
        """The drawn token; -1 if a logit was not a number, or none was finite."""
        return self._row.token

    def one(self, logits: int) -> int:
        """Draw alone."""
        self._drawing.draw((self.ready(logits),), 1)
        return self.token

    def close(self) -> None:
        self._drawing.library.puna_sampler_free(self._sampler)
