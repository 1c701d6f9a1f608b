"""GLM-4.7 Flash as a DeepSeek 2 (file: Ollama llama/compat, handle_glm4moelite)."""

from __future__ import annotations

from puna.engine.ollama_gguf.edit import Edit, copy_prefix, number, numbers, without
from puna.gguf import GGUFFile, string, u32

_OLD, _NEW = "glm4moelite.", "deepseek2."


def text(file: GGUFFile) -> Edit:
    """Renames the architecture, and gives the sizes of attention in the latent space, as libllama does."""
    rank, rope, head = (
        number(file, _OLD + key)
        for key in ("attention.kv_lora_rank", "rope.dimension_count", "attention.key_length")
    )
    values = {_NEW + f"expert_group_{key}": u32(1) for key in ("count", "used_count")}
    values |= copy_prefix(file, _OLD, _NEW)
    values |= {
        "general.architecture": string("deepseek2"),
        "tokenizer.ggml.pre": string("glm4"),
        _NEW + "attention.head_count_kv": u32(1),
    }
    if rank and rope:
        values[_NEW + "attention.key_length"] = u32(rank + rope)
        values[_NEW + "attention.value_length"] = u32(rank)
    if head:
        values[_NEW + "attention.key_length_mla"] = values[_NEW + "attention.value_length_mla"] = u32(head)
    for key, token in zip(("eot", "eom"), numbers(file, "tokenizer.ggml.eos_token_ids")[1:], strict=False):
        if f"tokenizer.ggml.{key}_token_id" not in file.metadata.values:
            values[f"tokenizer.ggml.{key}_token_id"] = u32(token)
    return Edit(without(file), values)
