"""The convertible model families, one module each: hyperparameters and tensors under llama.cpp's names.

`ARCHITECTURES` maps a name in a config's `architectures` to a function from a checkpoint to the `Plan` of a
GGUF file; `PROJECTORS` does so for the vision part.
"""

from __future__ import annotations

from collections.abc import Callable

from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.families import bert, gemma, gptoss, llama, nomic, phi, qwen, vision
from puna.library.convert.plan import Plan

__all__ = ["ARCHITECTURES", "PROJECTORS"]

ARCHITECTURES: dict[str, Callable[[Checkpoint], Plan]] = {
    "LlamaForCausalLM": llama.plan,
    "MistralForCausalLM": llama.plan,
    "MixtralForCausalLM": llama.plan,
    "Qwen2ForCausalLM": qwen.plan_qwen2,
    "Qwen2MoeForCausalLM": qwen.plan_qwen2moe,
    "Qwen3ForCausalLM": qwen.plan_qwen3,
    "Qwen3MoeForCausalLM": qwen.plan_qwen3moe,
    "Qwen3VLForConditionalGeneration": qwen.plan_qwen3vl,
    "Qwen3VLMoeForConditionalGeneration": qwen.plan_qwen3vlmoe,
    "GemmaForCausalLM": gemma.plan_gemma,
    "Gemma2ForCausalLM": gemma.plan_gemma2,
    "Gemma3ForCausalLM": gemma.plan_gemma3,
    "Gemma3ForConditionalGeneration": gemma.plan_gemma3,
    "Phi3ForCausalLM": phi.plan,
    "GptOssForCausalLM": gptoss.plan,
    "BertModel": bert.plan,
    "NomicBertModel": nomic.plan,
}

PROJECTORS: dict[str, Callable[[Checkpoint], Plan]] = {
    "Gemma3ForConditionalGeneration": vision.plan_gemma3,
    "Qwen3VLForConditionalGeneration": vision.plan_qwen3vl,
    "Qwen3VLMoeForConditionalGeneration": vision.plan_qwen3vl,
}
