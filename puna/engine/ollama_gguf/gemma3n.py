"""Gemma 3n (file: Ollama llama/compat, handle_gemma3n)."""

from __future__ import annotations

import re

from puna.engine.ollama_gguf.edit import Derived, Edit, columns_rows, long_list, numbers, without
from puna.gguf import GGUFFile, i32, string

_NORMAL, _BYTE = 1, 6  # llama_token_type
_BYTE_TOKEN = re.compile(r"<0x..>")
_END_OF_TURN = 106
_ENDS = "tokenizer.ggml.eos_token_ids"
_TYPES = "tokenizer.ggml.token_type"


def text(file: GGUFFile) -> Edit | None:
    """Removes the encoders and the tokens that only they use: libllama wants two embeddings of one height.

    None if nothing changes.
    """
    columns, rows = columns_rows(file, "token_embd.weight")
    kept = columns_rows(file, "per_layer_token_embd.weight")[1]
    tensors = without(file, "v.", "a.", "mm.")
    if not 0 < kept < rows:
        return Edit(tensors) if len(tensors) < len(file.tensors) else None
    tensors["token_embd.weight"] = Derived(("token_embd.weight",), (columns, kept))
    values = {
        "tokenizer.ggml.model": string("llama"),
        _ENDS: i32(list(dict.fromkeys([*(numbers(file, _ENDS) or [1]), _END_OF_TURN]))),
    }
    if types := long_list(file, _TYPES):
        tokens = long_list(file, "tokenizer.ggml.tokens")
        values[_TYPES] = i32([_type(*token) for token in zip(tokens, types, strict=False)])
    return Edit(tensors, values, vocabulary=kept)


def _type(token: str, kind: int) -> int:
    if _BYTE_TOKEN.fullmatch(token):
        return _BYTE
    return _NORMAL if token.startswith("<unused") else kind
