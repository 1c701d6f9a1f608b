"""GPT-OSS under its old architecture name, "gptoss" (file: Ollama llama/compat, handle_gptoss)."""

from __future__ import annotations

import re

from puna.engine.ollama_gguf.edit import Edit, columns_rows, copy_prefix
from puna.gguf import GGUFFile, string, u32

_PARTS = {"attn_out.": "attn_output.", "attn_sinks": "attn_sinks.weight", "ffn_norm.": "post_attention_norm."}
_PART = re.compile(r"(?<=\.)(attn_out\.|attn_sinks$|ffn_norm\.)")


def text(file: GGUFFile) -> Edit:
    """Renames the architecture and its tensors, and adds the experts' size."""
    values = copy_prefix(file, "gptoss.", "gpt-oss.")
    rows = columns_rows(file, "blk.0.ffn_gate_exps.weight")[1]
    if rows:
        values.setdefault("gpt-oss.expert_feed_forward_length", u32(rows))
    values.setdefault("gpt-oss.rope.scaling.type", string("yarn"))
    values |= {"general.architecture": string("gpt-oss"), "tokenizer.ggml.pre": string("gpt-4o")}
    return Edit({_PART.sub(lambda match: _PARTS[match[1]], old): old for old in file.tensors}, values)
