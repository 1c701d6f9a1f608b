"""What libmtmd's own code makes of a prompt with pictures and sounds, with no code of Puna's in between."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import llama_cpp
import numpy as np
from llama_cpp import mtmd_cpp

from puna.types import Image
from tests.library.libllama import loaded


def next_logprobs(
    model: Path, projector: Path, prompt: str, media: Sequence[Image | bytes], *, least: int = -1
) -> np.ndarray[Any, Any]:
    """Logarithms of the probabilities of the token after `prompt`, evaluated alone in a fresh context.

    media: pictures, and sounds as files. least: tokens of a picture, -1 for the projector's own limit.
    """
    mtmd_cpp.mtmd_helper_log_set(_quiet, ctypes.c_void_p())
    with loaded(model, n_ctx=1024) as text:
        params = mtmd_cpp.mtmd_context_params_default()
        params.use_gpu, params.print_timings, params.n_threads = False, False, 1
        params.image_min_tokens = least
        context: Any = mtmd_cpp.mtmd_init_from_file(str(projector).encode(), text.handle, params)
        assert context, "libmtmd does not load the projector"
        chunks: Any = mtmd_cpp.mtmd_input_chunks_init()
        data = prompt.encode()
        given = mtmd_cpp.mtmd_input_text(data, len(data), True, True)
        bitmaps = (mtmd_cpp.mtmd_bitmap_p_ctypes * len(media))(*[_bitmap(context, one) for one in media])
        found = mtmd_cpp.mtmd_tokenize(
            context, chunks, cast(Any, ctypes.byref(given)), cast(Any, bitmaps), len(media)
        )
        assert found == 0
        past = llama_cpp.llama_pos()
        assert (
            mtmd_cpp.mtmd_helper_eval_chunks(
                context, text.context, chunks, _ZERO, _ZERO, 512, True, cast(Any, ctypes.byref(past))
            )
            == 0
        )
        logits: Any = llama_cpp.llama_get_logits_ith(text.context, -1)
        vocabulary: Any = llama_cpp.llama_model_get_vocab(text.handle)
        size = llama_cpp.llama_vocab_n_tokens(vocabulary)
        row = np.array(logits[:size], np.float64)
        mtmd_cpp.mtmd_input_chunks_free(chunks)
        for bitmap in bitmaps:
            mtmd_cpp.mtmd_bitmap_free(bitmap)
        mtmd_cpp.mtmd_free(context)
    top = row.max()
    return row - top - np.log(np.exp(row - top).sum())


def _bitmap(context: Any, image: Image | bytes) -> Any:
    if isinstance(image, bytes):
        file = (ctypes.c_uint8 * len(image)).from_buffer_copy(image)
        return mtmd_cpp.mtmd_helper_bitmap_init_from_buf(context, cast(Any, file), len(image), False)
    pixels = (ctypes.c_uint8 * len(image.rgb)).from_buffer_copy(image.rgb)
    return mtmd_cpp.mtmd_bitmap_init(image.width, image.height, cast(Any, pixels))


_ZERO: Any = 0
_quiet = llama_cpp.llama_log_callback(lambda *_: None)
