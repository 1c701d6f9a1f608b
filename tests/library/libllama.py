"""Vectors and logits straight from libllama, with no code of Puna's between the file and the numbers."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np

_quiet = llama_cpp.llama_log_callback(lambda *_: None)


@contextmanager
def loaded(
    path: Path,
    *,
    embeddings: bool = False,
    exact: bool = False,
    adapter: Path | None = None,
    n_ctx: int = 512,
) -> Iterator[Loaded]:
    """The GGUF model at `path`, in memory until the block ends; `exact` keeps attention in 32 bits."""
    llama_cpp.llama_log_set(_quiet, ctypes.c_void_p())
    llama_cpp.llama_backend_init()
    model_parameters = llama_cpp.llama_model_default_params()
    model_parameters.n_gpu_layers = 0
    # Nor Puna's kernels, which an earlier test may have put in.
    model_parameters.use_extra_bufts = False
    model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_parameters)
    assert model, f"libllama does not load {path}"
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = parameters.n_batch = parameters.n_ubatch = n_ctx
    parameters.n_threads = parameters.n_threads_batch = 1
    parameters.embeddings = embeddings
    if exact:
        parameters.type_k = parameters.type_v = llama_cpp.GGML_TYPE_F32
        parameters.flash_attn_type = llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
        parameters.swa_full = True
    context = llama_cpp.llama_init_from_model(model, parameters)
    assert context
    if adapter:
        lora = llama_cpp.llama_adapter_lora_init(model, str(adapter).encode())
        assert lora, f"libllama does not load {adapter}"
        full = (ctypes.c_float * 1)(1.0)
        assert llama_cpp.llama_set_adapters_lora(context, (type(lora) * 1)(lora), 1, full) == 0
    try:
        yield Loaded(model, context)
    finally:
        llama_cpp.llama_free(context)
        llama_cpp.llama_model_free(model)


class Loaded:
    def __init__(self, model: Any, context: Any) -> None:
        self.handle, self.context = model, context
        self._vocabulary: Any = llama_cpp.llama_model_get_vocab(model)

    @property
    def pooling(self) -> int:
        return llama_cpp.llama_pooling_type(self.context)

    def tokens(self, text: str) -> list[int]:
        raw = text.encode()
        found = (llama_cpp.llama_token * (len(raw) + 8))()
        count = llama_cpp.llama_tokenize(self._vocabulary, raw, len(raw), found, len(found), True, True)
        return list(found[:count])

    def logits(self, tokens: list[int]) -> np.ndarray[Any, Any]:
        """A row for each of `tokens`."""
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for at, token in enumerate(tokens):
            batch.token[at], batch.pos[at], batch.logits[at] = token, at, 1
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, 0
        assert llama_cpp.llama_decode(self.context, batch) == 0
        llama_cpp.llama_batch_free(batch)
        size = llama_cpp.llama_vocab_n_tokens(self._vocabulary)
        rows = llama_cpp.llama_get_logits(self.context)
        return np.array(rows[: len(tokens) * size], np.float32).reshape(len(tokens), size)

    def embed(self, tokens: list[int]) -> np.ndarray[Any, Any]:
        """The pooled vector of one sentence, L2-normalised."""
        ids = (llama_cpp.llama_token * len(tokens))(*tokens)
        assert llama_cpp.llama_encode(self.context, llama_cpp.llama_batch_get_one(ids, len(ids))) == 0
        width = llama_cpp.llama_model_n_embd(self.handle)
        vector = np.array(llama_cpp.llama_get_embeddings_seq(self.context, 0)[:width], np.float32)
        return vector / np.linalg.norm(vector)

    def answer(self, prompt: str, count: int) -> str:
        """The `count` likeliest tokens after `prompt`, one after the other, as text."""
        tokens, text = self.tokens(prompt), b""
        for _ in range(count):
            ids = (llama_cpp.llama_token * len(tokens))(*tokens)
            assert llama_cpp.llama_decode(self.context, llama_cpp.llama_batch_get_one(ids, len(ids))) == 0
            size = llama_cpp.llama_vocab_n_tokens(self._vocabulary)
            tokens = [int(np.argmax(llama_cpp.llama_get_logits_ith(self.context, -1)[:size]))]
            if llama_cpp.llama_vocab_is_eog(self._vocabulary, tokens[0]):
                break
            piece = ctypes.create_string_buffer(64)
            length = llama_cpp.llama_token_to_piece(self._vocabulary, tokens[0], piece, 64, 0, False)
            text += piece.raw[:length]
        return text.decode(errors="replace")
