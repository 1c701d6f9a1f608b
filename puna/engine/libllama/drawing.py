"""Native drawing: the next tokens of many answers in one call, on all threads.

`native/drawing.h` in `puna.kernels` declares what is mirrored here.
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Sequence
from enum import IntEnum

from puna.engine.libllama.kernels import native
from puna.engine.penalties import Penalties
from puna.options import Options


class SamplingMethod(IntEnum):
    GREEDY = 0
    TRUNCATION = 1
    MIROSTAT = 2
    MIROSTAT_2 = 3


class _Options(ctypes.Structure):
    _fields_ = (
        ("method", ctypes.c_int32),
        ("top_k", ctypes.c_int32),
        *((name, ctypes.c_float) for name in ("typical_p", "top_p", "min_p", "temperature", "tau", "eta")),
        *((name, ctypes.c_float) for name in ("repeat", "frequency", "presence")),
        ("seed", ctypes.c_uint32),
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


def open_drawing(n_vocab: int) -> Drawing | None:
    """None where there is no native code, or none for this processor."""
    library = native()
    if library is None:
        return None
    library.puna_drawing_new.restype = library.puna_sampler_new.restype = ctypes.c_void_p
    handle = library.puna_drawing_new(ctypes.c_int64(n_vocab))
    return Drawing(library, handle) if handle else None


class Draws:
    """One request's draws. `logits` is the address of what the next is drawn from."""

    def __init__(self, drawing: Drawing, options: Options, penalties: Penalties) -> None:
        seed = options.seed & 0xFFFFFFFF if options.seed >= 0 else secrets.randbits(32)
        o = options
        native_options = _Options(
            _method(o),
            max(0, min(o.top_k, 1 << 30)),
            o.typical_p if 0 < o.typical_p < 1 else 1,
            *(o.top_p, o.min_p, o.temperature, o.mirostat_tau, o.mirostat_eta),
            *(o.repeat_penalty, o.frequency_penalty, o.presence_penalty),
            seed,
        )
        self._drawing = drawing
        self._penalties = penalties
        self._sampler = ctypes.c_void_p(drawing.library.puna_sampler_new(ctypes.byref(native_options)))
        ids, counts = penalties.arrays
        self._row = _Row(self._sampler, None, ids.ctypes.data, counts.ctypes.data, 0, 0)
        self.address = ctypes.addressof(self._row)

    def set_logits(self, logits: int) -> Draws:
        """Let the next token be drawn from the row of logits at this address."""
        self._row.logits, self._row.distinct = logits, self._penalties.distinct
        return self

    @property
    def token(self) -> int:
        """The drawn token; -1 if a logit was not a number, or none was finite."""
        return self._row.token

    def draw_one(self, logits: int) -> int:
        """Draw alone."""
        self._drawing.draw((self.set_logits(logits),), 1)
        return self.token

    def close(self) -> None:
        self._drawing.library.puna_sampler_free(self._sampler)


def _method(options: Options) -> SamplingMethod:
    if options.temperature <= 0:
        return SamplingMethod.GREEDY
    mirostat = {1: SamplingMethod.MIROSTAT, 2: SamplingMethod.MIROSTAT_2}
    return mirostat.get(options.mirostat, SamplingMethod.TRUNCATION)
