"""The language model of a Mistral 3 (facts: Ollama llama/compat, handle_mistral3)."""

from __future__ import annotations

from puna.engine.foreign.edit import Edit, Facts, Value, copied, own
from puna.engine.foreign.sight import INSIDE

_KEYS = {
    "mistral3.rope.scaling.yarn_beta_fast": "mistral3.rope.scaling.beta_fast",
    "mistral3.rope.scaling.yarn_beta_slow": "mistral3.rope.scaling.beta_slow",
    "mistral3.rope.scaling.yarn_log_multiplier": "mistral3.rope.scaling.mscale_all_dim",
    "mistral3.attention.temperature_scale": "mistral3.rope.scaling_beta",
}
_PRE = "tokenizer.ggml.pre"


def text(facts: Facts) -> Edit | None:
    tensors = own(facts.tensors, *INSIDE)
    values: dict[str, Value] = copied(facts, _KEYS)
    if not values and len(tensors) == len(facts.tensors):
        return None
    if facts.get(_PRE) in (None, "", "default"):
        values[_PRE] = "tekken"
    return Edit(tensors, values)
