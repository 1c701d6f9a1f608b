"""Snowflake Arctic Embed 2 (file: Ollama llama/compat, handle_snowflake_arctic_embed2)."""

from __future__ import annotations

import base64
import struct

from puna.engine.ollama_gguf.edit import Edit, long_list, without
from puna.gguf import GGUFFile

_CHARSMAP = "tokenizer.ggml.precompiled_charsmap"
_ARRAY, _UINT8 = 9, 0  # gguf_type


def text(file: GGUFFile) -> Edit | None:
    """Decodes the tokenizer's table of characters from a list of base64 characters; None for any other."""
    try:
        table = base64.b64decode("".join(long_list(file, _CHARSMAP)), validate=True)
    except (TypeError, ValueError):
        return None
    return (
        Edit(without(file), {_CHARSMAP: struct.pack("<IIQ", _ARRAY, _UINT8, len(table)) + table})
        if table
        else None
    )
