"""GPT-OSS under the name it had before libllama knew it (facts: Ollama llama/compat, handle_gptoss)."""

from __future__ import annotations

import re

import numpy as np

from puna.engine.foreign.edit import Edit, Facts, renamed

_PARTS = {"attn_out.": "attn_output.", "attn_sinks": "attn_sinks.weight", "ffn_norm.": "post_attention_norm."}
_PART = re.compile(r"(?<=\.)(attn_out\.|attn_sinks$|ffn_norm\.)")


def text(facts: Facts) -> Edit:
    values = renamed(facts, "gptoss.", "gpt-oss.")
    experts = facts.tensors.get("blk.0.ffn_gate_exps.weight")
    if experts:
        values.setdefault("gpt-oss.expert_feed_forward_length", np.uint32(experts[1]))
    values.setdefault("gpt-oss.rope.scaling.type", "yarn")
    values |= {"general.architecture": "gpt-oss", "tokenizer.ggml.pre": "gpt-4o"}
    return Edit({_PART.sub(lambda found: _PARTS[found[1]], old): old for old in facts.tensors}, values)
