"""Quantizes a GGUF file."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import llama_cpp as C

from puna.engine.libllama.log import NO_REASON, Log
from puna.errors import BadRequest, PunaError
from puna.gguf import read_metadata

_ROWS_IN_MEMORY = 256 << 20  # bytes of a tensor that are in memory at once
_PLAIN_REASONS = {
    "basic_ios::clear: iostream error": "it cannot be written (is there room on the disk?)",
    "std::bad_alloc": "out of memory",
}
_QUANTIZED = "quantization is only supported for F16, BF16 and F32 models"


def quantize(source: str, target: str, kind: str, *, threads: int, notice: Callable[[str], None]) -> None:
    """Write a copy of the GGUF file `source` with weights of `kind`, for example "Q4_K_M".

    `notice` gets libllama's log lines. Raises LoadFailed if the source is damaged, BadRequest if it is
    quantized already, PunaError with libllama's reason otherwise.
    """
    C.llama_backend_init()
    log = Log(notice)
    # The file's type may be missing or wrong, and libllama copies tensors that already have the wanted type.
    if not read_metadata(Path(source)).precision:
        raise BadRequest(_QUANTIZED)
    params = C.llama_model_quantize_default_params()
    params.ftype = C.LLAMA_FTYPE_ALL_F32 if kind == "F32" else getattr(C, f"LLAMA_FTYPE_MOSTLY_{kind}")
    params.nthread = threads
    params.max_buf_size = _ROWS_IN_MEMORY
    if C.llama_model_quantize(os.fsencode(source), os.fsencode(target), cast(Any, ctypes.byref(params))):
        reason = log.last_error.removeprefix("llama_model_quantize: failed to quantize: ")
        raise PunaError(
            f"unable to quantize {source} to {target}: {_PLAIN_REASONS.get(reason, reason) or NO_REASON}"
        )
