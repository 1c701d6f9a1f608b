"""LFM2 (file: Ollama llama/compat, handle_lfm2)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, columns_rows
from puna.gguf import GGUFFile, string, u32

_OLD, _NEW = "output_norm.weight", "token_embd_norm.weight"


def text(file: GGUFFile) -> Edit | None:
    """Renames the last norm, and takes the feed-forward size from a tensor; None if nothing changes."""
    if _OLD not in file.tensors or _NEW in file.tensors:
        return None
    values = {"tokenizer.ggml.pre": string("lfm2")}
    if inner := columns_rows(file, "blk.0.ffn_gate.weight")[1]:
        values["lfm2.feed_forward_length"] = u32(inner)
    return Edit({_NEW if old == _OLD else old: old for old in file.tensors}, values)
