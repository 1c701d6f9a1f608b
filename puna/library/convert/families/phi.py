"""Phi 3, 3.5 and 4: queries, keys and values in one tensor, gate and up in one, as in llama.cpp."""

from __future__ import annotations

import math

from gguf import MODEL_ARCH

from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.families.decoder import head_size, hyperparameters, rope, rope_type, weights
from puna.library.convert.plan import Names, Plan, layer_count
from puna.library.convert.tensors import constant


def plan(checkpoint: Checkpoint) -> Plan:
    """Positions of type "longrope" have factors for short and for long contexts. Raises BadRequest."""
    config, parameters = checkpoint.config, rope(checkpoint.config)
    names = Names(MODEL_ARCH.PHI3, layer_count(config))
    longest = config.integer("max_position_embeddings")
    trained = parameters.integer("original_max_position_embeddings", default=longest)
    size = int(parameters.number("partial_rotary_factor", default=1.0) * head_size(config))
    values = hyperparameters(config) | {
        "rope.dimension_count": size,
        "rope.scaling.original_context_length": trained,
        "attention.sliding_window": config.integer("sliding_window", default=0, least=0),
    }
    named = names.apply(weights(checkpoint))
    if rope_type(config) == "longrope":
        ratio = longest / trained
        attention = math.sqrt(1 + math.log(ratio) / math.log(trained)) if ratio > 1 and trained > 1 else 1.0
        values["rope.scaling.attn_factor"] = attention
        for name in ("long", "short"):
            factors = parameters.numbers(f"{name}_factor")
            if len(factors) != size // 2:
                raise config.error(
                    "rope_scaling", f"has {len(factors)} numbers as {name}_factor, not {size // 2}"
                )
            named[f"rope_factors_{name}.weight"] = constant(f"{name}_factor", factors)
    return Plan(names.architecture, values, named)
