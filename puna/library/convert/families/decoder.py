"""The common parts of decoders: the hyperparameters of config.json, rotary positions, experts.

Keys: ggml/docs/gguf.md and llama.cpp's src/llama-arch.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from puna.errors import BadRequest
from puna.library.convert.checkpoint import Checkpoint
from puna.library.convert.config import Config
from puna.library.convert.plan import layer_count
from puna.library.convert.tensors import Tensor, stack
from puna.library.convert.writing import Value

_MOST_EXPERTS = 4096
_EXPERT = re.compile(r"(?P<before>.+\.experts)\.(?P<number>\d{1,4})\.(?P<part>\w+)\.weight")
_BUFFERS = (".rotary_emb.inv_freq", ".attention.bias", ".attention.masked_bias")


def weights(checkpoint: Checkpoint) -> Iterator[tuple[str, Tensor]]:
    """The language model's tensors under a text-only model's names, without buffers and vision."""
    for name, tensor in checkpoint.tensors.items():
        if name.endswith(_BUFFERS) or "vision" in name or "visual" in name or "projector" in name:
            continue
        plain = name.removeprefix("language_model.").replace("model.language_model.", "model.", 1)
        yield plain, tensor


def hyperparameters(config: Config) -> dict[str, Value]:
    """The sizes, norms, rotary positions and experts that config.json has. Raises BadRequest."""
    heads = config.integer("num_attention_heads")
    values: dict[str, Value] = {
        "block_count": layer_count(config),
        "embedding_length": config.integer("hidden_size"),
        "feed_forward_length": config.integer("intermediate_size"),
        "attention.head_count": heads,
        "attention.head_count_kv": config.integer("num_key_value_heads", default=heads, most=heads),
        "attention.layer_norm_rms_epsilon": config.number("rms_norm_eps", default=1e-6),
    }
    if config.get("max_position_embeddings") is not None:
        values["context_length"] = config.integer("max_position_embeddings")
    if config.get("head_dim") is not None:
        values["attention.key_length"] = values["attention.value_length"] = config.integer("head_dim")
    if config.get("num_local_experts", "num_experts") is not None:
        values["expert_count"] = config.integer("num_local_experts", "num_experts", most=_MOST_EXPERTS)
        values["expert_used_count"] = config.integer("num_experts_per_tok", "experts_per_token")
    return values | rotary(config)


def head_size(config: Config) -> int:
    """The width of an attention head: `head_dim`, or the hidden size by the number of heads."""
    default = config.integer("hidden_size") // config.integer("num_attention_heads")
    return config.integer("head_dim", default=default)


def rope(config: Config) -> Config:
    """Rotary parameters in one object, from the places of every version of transformers."""
    section = config.section("rope_parameters", "rope_scaling")
    whole = section.section("full_attention") if "full_attention" in section.values else section
    outer = {key: config.values.get(key) for key in ("rope_theta", "partial_rotary_factor")}
    outer["original_max_position_embeddings"] = config.values.get("original_max_position_embeddings")
    return whole.with_defaults(Config(outer, config.file))


def rope_type(config: Config) -> str:
    """ "default", "linear", "yarn", "llama3", "longrope" …"""
    kind = rope(config).string("rope_type", "type", default="default").lower()
    return "longrope" if kind == "su" else kind


def rotary(config: Config) -> dict[str, Value]:
    """Base frequency and scaling. Raises BadRequest for a scaling that llama.cpp lacks."""
    parameters, kind = rope(config), rope_type(config)
    values: dict[str, Value] = {}
    if parameters.get("rope_theta") is not None:
        values["rope.freq_base"] = parameters.number("rope_theta")
    if kind in ("linear", "yarn"):
        values["rope.scaling.type"] = kind
        values["rope.scaling.factor"] = parameters.number("factor")
    if kind == "yarn":
        values["rope.scaling.original_context_length"] = parameters.integer(
            "original_max_position_embeddings",
            default=config.integer("max_position_embeddings"),
        )
        for key, name in (("beta_fast", "yarn_beta_fast"), ("beta_slow", "yarn_beta_slow")):
            if parameters.get(key) is not None:
                values[f"rope.scaling.{name}"] = parameters.number(key)
        if parameters.get("attention_factor") is not None:
            values["rope.scaling.yarn_attn_factor"] = parameters.number("attention_factor")
    elif kind not in ("default", "linear", "llama3", "longrope", "mrope"):
        raise config.error("rope_scaling", f'has the type "{kind}", which cannot be converted')
    return values


def experts(tensors: Mapping[str, Tensor], count: int) -> Iterator[tuple[str, Tensor]]:
    """`tensors` with each layer's separate experts stacked into one tensor.

    Raises BadRequest when one of `count` experts is missing.
    """
    groups: dict[str, dict[int, Tensor]] = {}
    for name, tensor in tensors.items():
        match = _EXPERT.fullmatch(name)
        if match:
            groups.setdefault(f"{match['before']}.{match['part']}.weight", {})[int(match["number"])] = tensor
        else:
            yield name, tensor
    for name, members in groups.items():
        if sorted(members) != list(range(count)):
            raise BadRequest(f"the safetensors files have {len(members)} of the {count} experts of {name}")
        yield name, stack([members[number] for number in range(count)])
