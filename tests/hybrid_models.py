"""Small hybrid models whose state is rolled back: `qwen35` as Qwen 3.5, and `nemotron_h` as Nemotron-H.

The third is `hybrid_model` of tests.models.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFWriter

from tests.model_parts import (
    CHATML,
    F32,
    Quantisation,
    Shape,
    Weights,
    add_decoder,
    byte_vocabulary,
    finish,
    model_writer,
)
from tests.models import hybrid_model, scripted_vocabulary

_KERNEL = 4


@dataclass(frozen=True)
class DeltaNet:
    """The recurrent blocks of a `qwen35`; each `every`-th block attends instead.

    `keys` and `values`: their heads. Of each of the second the state is `state` × `state` numbers.
    """

    state: int = 16
    keys: int = 2
    values: int = 4
    every: int = 2


def delta_model(
    path: Path,
    *,
    net: DeltaNet | None = None,
    quantisation: Quantisation = F32,
    seed: int = 0,
    script: Sequence[str] = (),
    experts: int = 0,
    **shape: int,
) -> None:
    """Write a random `qwen35`: most blocks have a gated delta net, the others attend.

    With a `script` it says that: its blocks add nothing. With `experts` it is a `qwen35moe`.
    """
    net = net or DeltaNet()
    vocabulary, follows, _ = scripted_vocabulary(script)
    of = Shape(**{"head_size": 32} | shape)
    writer = model_writer(
        path,
        "qwen35moe" if experts else "qwen35",
        "delta",
        vocabulary if script else byte_vocabulary(of.vocab),
        CHATML,
        4096,
    )
    add_delta(writer, of, net, experts)
    weights = Weights(writer, seed, quantisation)
    if script:
        weights.follower(follows, of.width)
    else:
        weights.embedding_and_output(of)
    weights.norm("output_norm", of.width)
    for number, block in enumerate(of.blocks):
        attends = (number + 1) % net.every == 0
        delta_block(writer, weights, block, of, None if attends else net, experts, 0.0 if script else 1.0)
    finish(writer)


def add_delta(writer: GGUFWriter, of: Shape, net: DeltaNet, experts: int = 0) -> None:
    """The metadata of a `qwen35`."""
    add_decoder(writer, of, rotated=of.head // 2)
    writer.add_rope_dimension_sections([of.head // 4, 0, 0, 0])
    writer.add_full_attention_interval(net.every)
    writer.add_ssm_conv_kernel(_KERNEL)
    writer.add_ssm_inner_size(net.state * net.values)
    writer.add_ssm_state_size(net.state)
    writer.add_ssm_time_step_rank(net.values)
    writer.add_ssm_group_count(net.keys)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(1)
        writer.add_expert_feed_forward_length(of.ffn)
        writer.add_expert_shared_feed_forward_length(of.ffn)


def delta_block(
    writer: GGUFWriter,
    weights: Weights,
    block: str,
    of: Shape,
    net: DeltaNet | None,
    experts: int,
    adds: float,
) -> None:
    """A block of a `qwen35`, with `adds` times its usual part in the sum. Without a `net` it attends."""
    weights.norm(f"{block}.attn_norm", of.width)
    weights.norm(f"{block}.post_attention_norm", of.width)
    if net is None:
        # Queries have a gate beside them.
        weights.matrix(f"{block}.attn_q", 2 * of.heads * of.head, of.width, scale=3.0)
        weights.matrix(f"{block}.attn_k", of.kv_heads * of.head, of.width)
        weights.matrix(f"{block}.attn_v", of.kv_heads * of.head, of.width)
        weights.matrix(f"{block}.attn_output", of.width, of.heads * of.head, scale=adds)
        weights.norm(f"{block}.attn_q_norm", of.head, scale=3.0)
        weights.norm(f"{block}.attn_k_norm", of.head)
    else:
        channels = net.state * (2 * net.keys + net.values)
        weights.matrix(f"{block}.attn_qkv", channels, of.width)
        weights.matrix(f"{block}.attn_gate", net.state * net.values, of.width)
        weights.kernel(f"{block}.ssm_conv1d", channels, _KERNEL)
        weights.vector(f"{block}.ssm_dt.bias", net.values)
        # Each head forgets at its own pace.
        writer.add_tensor(f"{block}.ssm_a", -np.geomspace(0.01, 1, net.values, dtype=np.float32))
        weights.matrix(f"{block}.ssm_beta", net.values, of.width)
        weights.matrix(f"{block}.ssm_alpha", net.values, of.width)
        weights.norm(f"{block}.ssm_norm", net.state)
        weights.matrix(f"{block}.ssm_out", of.width, net.state * net.values, scale=adds)
    if experts:
        down = np.random.default_rng(1).standard_normal((experts, of.width, of.ffn)).astype(np.float32)
        weights.matrix(f"{block}.ffn_gate_inp", experts, of.width)
        weights.experts(f"{block}.ffn_gate_exps", experts, of.ffn, of.width)
        weights.experts(f"{block}.ffn_up_exps", experts, of.ffn, of.width)
        writer.add_tensor(f"{block}.ffn_down_exps.weight", down * np.float32(adds / 8))
        weights.vector(f"{block}.ffn_gate_inp_shexp.weight", of.width)
    kind = "_shexp" if experts else ""
    weights.matrix(f"{block}.ffn_gate{kind}", of.ffn, of.width)
    weights.matrix(f"{block}.ffn_up{kind}", of.ffn, of.width)
    weights.matrix(f"{block}.ffn_down{kind}", of.width, of.ffn, scale=adds)


def mamba2_model(
    path: Path,
    *,
    state: int = 16,
    groups: int = 2,
    ssm_heads: int = 4,
    experts: int = 0,
    quantisation: Quantisation = F32,
    seed: int = 0,
    **shape: int,
) -> None:
    """Write a random `nemotron_h`: in turns a block is a Mamba-2 layer, feeds forward, or attends.

    With `experts` it is a `nemotron_h_moe`.
    """
    of = Shape(**{"layers": 3} | shape)
    inner, width = 2 * of.width, of.width
    family = "nemotron_h_moe" if experts else "nemotron_h"
    writer = model_writer(path, family, "mamba2", byte_vocabulary(of.vocab), CHATML, 4096)
    per_layer: Any = [number % 3 for number in range(of.layers)]
    writer.add_embedding_length(width)
    writer.add_block_count(of.layers)
    writer.add_feed_forward_length([of.ffn * (kind == 1) for kind in per_layer])
    writer.add_head_count(of.heads)
    writer.add_head_count_kv([of.kv_heads * (kind == 2) for kind in per_layer])
    writer.add_key_length(of.head)
    writer.add_value_length(of.head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_layer_norm_eps(1e-5)
    writer.add_ssm_conv_kernel(_KERNEL)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(ssm_heads)
    writer.add_ssm_group_count(groups)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(1)
        writer.add_expert_shared_count(1)
        writer.add_expert_feed_forward_length(of.ffn)
        writer.add_expert_shared_feed_forward_length(of.ffn)
        writer.add_expert_weights_norm(True)
    weights = Weights(writer, seed, quantisation)
    weights.embedding_and_output(of)
    weights.norm("output_norm", width)
    for kind, block in zip(per_layer, of.blocks, strict=True):
        if kind == 0:
            channels = inner + 2 * groups * state
            weights.norm(f"{block}.attn_norm", width)
            weights.matrix(f"{block}.ssm_in", inner + channels + ssm_heads, width)
            weights.kernel(f"{block}.ssm_conv1d", channels, _KERNEL)
            weights.vector(f"{block}.ssm_conv1d.bias", channels)
            weights.vector(f"{block}.ssm_dt.bias", ssm_heads)
            pace = np.geomspace(0.01, 1, ssm_heads, dtype=np.float32)
            writer.add_tensor(f"{block}.ssm_a", -pace[:, None])
            writer.add_tensor(f"{block}.ssm_d", np.ones((ssm_heads, 1), np.float32))
            writer.add_tensor(f"{block}.ssm_norm.weight", np.ones((groups, inner // groups), np.float32))
            weights.matrix(f"{block}.ssm_out", width, inner)
        elif kind == 1:
            weights.norm(f"{block}.attn_norm", width)
            if experts:
                weights.routed(block, experts, of)
            suffix = "_shexp" if experts else ""
            weights.matrix(f"{block}.ffn_up{suffix}", of.ffn, width)
            weights.matrix(f"{block}.ffn_down{suffix}", width, of.ffn)
        else:
            weights.attention(block, of)
    finish(writer)


ROLLED: dict[str, Callable[[Path], None]] = {
    "lfm2": hybrid_model,
    "lfm2moe": partial(hybrid_model, experts=2),
    "qwen35": delta_model,
    "qwen35moe": partial(delta_model, experts=2),
    "nemotron_h": mamba2_model,
    "nemotron_h_moe": partial(mamba2_model, experts=2),
}
"""A model of each architecture whose state is rolled back."""
