"""Small models with an MTP layer: `glm4moe` as GLM-4.5, `deepseek2` as DeepSeek V3 and GLM-4.7-Flash.

`qwen35` and `qwen35moe` as Qwen 3.5 have a recurrent block first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from gguf import GGUFWriter

from tests.hybrid_models import DeltaNet, add_delta, delta_block
from tests.model_parts import (
    CHATML,
    F32,
    FIRST_BYTE,
    Shape,
    Token,
    Weights,
    add_decoder,
    byte_vocabulary,
    finish,
    follow_table,
    model_writer,
)
from tests.models import scripted_vocabulary

EXPERTS = 2
DENSE, MIXED, HEAD = "blk.0", "blk.1", "blk.2"
"""The blocks: two of the trunk, then the MTP layer."""

Reads = Literal["token", "state"]
Family = Literal["glm4moe", "deepseek2", "qwen35", "qwen35moe"]

_RANK, _ROPE = 32, 16
"""Of a `deepseek2`'s compressed keys and values, and of the part of a key that turns with its position."""


def scripted_mtp_model(
    path: Path,
    script: str | Iterable[str | bytes],
    *,
    reads: Reads = "token",
    astray: int = 0,
    without: Collection[str] = (),
    family: Family = "glm4moe",
    sections: Sequence[int] = (),
) -> None:
    """Write a scripted model whose MTP layer knows the script too.

    Its layer `reads` the last token and says the next, or the hidden state of the token before that and
    says the one after the next, which is right for the first token of a draft alone. Behind every
    `astray`-th token it is wrong. `without`: tensors of the layer that are left out.
    `sections`: how many pairs of a head turn with each dimension of a position, as for pictures.
    """
    vocabulary, follows, pieces = scripted_vocabulary(script)
    said = np.asarray(follows)
    if reads == "state":
        said = said[said]
    if astray:
        start = len(vocabulary) - len(pieces)
        said[start::astray] = start
    tables = follow_table(follows, len(said)), follow_table(said, len(said))
    _last_token_model(path, vocabulary, *tables, reads, without, family, sections)


def chance_mtp_model(path: Path, *, reads: Reads = "token", alike: float = 1.0) -> None:
    """Write a `chance_model`: its next token depends by chance on the last one alone.

    Its MTP layer knows for about this part of all tokens which one that is, or is after that one.
    """
    vocabulary = byte_vocabulary(320)
    random = np.random.default_rng(0)
    size = len(vocabulary)
    table = random.standard_normal((size, size)).astype(np.float32) * np.float32(0.15)
    table[:FIRST_BYTE] = 0
    said = table.copy() if reads == "token" else table[:, table.argmax(axis=0)]
    wrong = random.random(size) >= alike
    said[:, wrong] = random.permutation(said[:, wrong])
    _last_token_model(path, vocabulary, table, said, reads)


def _last_token_model(
    path: Path,
    vocabulary: list[Token],
    table: np.ndarray,
    said: np.ndarray,
    reads: Reads,
    without: Collection[str] = (),
    family: Family = "glm4moe",
    sections: Sequence[int] = (),
) -> None:
    """`table[j, i]`: what makes token j come after token i; `said`: what makes the layer say so."""
    size = len(vocabulary)
    width = -(-size // 64) * 64
    fusion = np.zeros((width, 2 * width), np.float32)
    fusion[:, width * (reads == "state") :][:, :width] = np.eye(width)
    writer = _writer(path, family, vocabulary, width, head_size=64)
    if sections:
        writer.add_rope_dimension_sections(sections)
    writer.add_tensor("token_embd.weight", np.eye(size, width, dtype=np.float32))
    writer.add_tensor("output.weight", _padded(table, width))
    weights = Weights(writer, 0, F32)
    weights.norm("output_norm", width)
    head: dict[str, np.ndarray] = {
        "nextn.eh_proj": fusion,
        "nextn.enorm": np.ones(width, np.float32),
        "nextn.hnorm": np.ones(width, np.float32),
        "nextn.shared_head_head": _padded(said, width),
    }
    for name, values in head.items():
        if name not in without:
            writer.add_tensor(f"{HEAD}.{name}.weight", values)
    _blocks(writer, weights, family, width, 64, adds=0.0)
    finish(writer)


def random_mtp_model(
    path: Path, *, family: Family = "glm4moe", width: int = 64, vocab: int = 512, seed: int = 0
) -> None:
    """Write one with random weights: its layer is right as often as chance has it."""
    writer = _writer(path, family, byte_vocabulary(vocab), width, head_size=width)
    weights = Weights(writer, seed, F32)
    weights.embedding_and_output(Shape(width=width, vocab=vocab))
    weights.norm("output_norm", width)
    weights.matrix(f"{HEAD}.nextn.eh_proj", width, 2 * width)
    for norm in ("enorm", "hnorm", "shared_head_norm"):
        weights.norm(f"{HEAD}.nextn.{norm}", width)
    _blocks(writer, weights, family, width, width, adds=1.0)
    finish(writer)


def _writer(path: Path, family: Family, vocabulary: list[Token], width: int, head_size: int) -> GGUFWriter:
    writer = model_writer(path, family, "mtp", vocabulary, CHATML, 4096)
    if family.startswith("qwen35"):
        add_delta(writer, _delta_shape(width, head_size), DeltaNet(), EXPERTS * (family == "qwen35moe"))
        writer.add_nextn_predict_layers(1)
        return writer
    if family == "glm4moe":
        add_decoder(writer, Shape(layers=3, width=width, heads=1, kv_heads=1, head_size=head_size, ffn=64))
    else:
        writer.add_embedding_length(width)
        writer.add_block_count(3)
        writer.add_feed_forward_length(64)
        writer.add_head_count(1)
        writer.add_head_count_kv(1)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_q_lora_rank(_RANK)
        writer.add_kv_lora_rank(_RANK)
        writer.add_rope_dimension_count(_ROPE)
        writer.add_key_length(_RANK + _ROPE)
        writer.add_value_length(_RANK)
        writer.add_key_length_mla(2 * _ROPE)
        writer.add_value_length_mla(_RANK)
    writer.add_nextn_predict_layers(1)
    writer.add_leading_dense_block_count(1)
    writer.add_expert_count(EXPERTS)
    writer.add_expert_used_count(1)
    writer.add_expert_shared_count(1)
    writer.add_expert_feed_forward_length(64)
    return writer


def _delta_shape(width: int, head_size: int) -> Shape:
    return Shape(layers=3, width=width, heads=1, kv_heads=1, head_size=head_size, ffn=64)


def _padded(table: np.ndarray, width: int) -> np.ndarray:
    return np.pad(table, ((0, 0), (0, width - table.shape[1])))


def _blocks(
    writer: GGUFWriter, weights: Weights, family: Family, width: int, head_size: int, *, adds: float
) -> None:
    """What each block has, with `adds` times its usual part in the sum."""
    if family.startswith("qwen35"):
        of, experts = _delta_shape(width, head_size), EXPERTS * (family == "qwen35moe")
        for block, net in ((DENSE, DeltaNet()), (MIXED, None), (HEAD, None)):
            delta_block(writer, weights, block, of, net, experts, adds)
        return
    for block in (DENSE, MIXED, HEAD):
        weights.norm(f"{block}.attn_norm", width)
        if family == "glm4moe":
            for part in ("attn_q", "attn_k", "attn_v"):
                weights.matrix(f"{block}.{part}", head_size, width, scale=3.0)
            weights.matrix(f"{block}.attn_output", width, head_size, scale=adds)
            weights.norm(f"{block}.post_attention_norm", width)
        else:
            _latent_attention(writer, weights, block, width)
            weights.matrix(f"{block}.attn_output", width, _RANK, scale=adds)
            weights.norm(f"{block}.ffn_norm", width)
    weights.matrix(f"{DENSE}.ffn_gate", 64, width)
    weights.matrix(f"{DENSE}.ffn_up", 64, width)
    weights.matrix(f"{DENSE}.ffn_down", width, 64, scale=adds)
    down = np.random.default_rng(1).standard_normal((EXPERTS, width, 64)).astype(np.float32)
    for block in (MIXED, HEAD):
        weights.matrix(f"{block}.ffn_gate_inp", EXPERTS, width)
        weights.vector(f"{block}.exp_probs_b.bias", EXPERTS)
        weights.experts(f"{block}.ffn_gate_exps", EXPERTS, 64, width)
        weights.experts(f"{block}.ffn_up_exps", EXPERTS, 64, width)
        writer.add_tensor(f"{block}.ffn_down_exps.weight", down * np.float32(adds / 8))
        weights.matrix(f"{block}.ffn_gate_shexp", 64, width)
        weights.matrix(f"{block}.ffn_up_shexp", 64, width)
        weights.matrix(f"{block}.ffn_down_shexp", width, 64, scale=adds)


def _latent_attention(writer: GGUFWriter, weights: Weights, block: str, width: int) -> None:
    """One head, whose keys and values are read from `_RANK` numbers."""
    random = np.random.default_rng(2)
    weights.matrix(f"{block}.attn_q_a", _RANK, width)
    weights.norm(f"{block}.attn_q_a_norm", _RANK)
    weights.matrix(f"{block}.attn_q_b", 2 * _ROPE, _RANK, scale=3.0)
    weights.matrix(f"{block}.attn_kv_a_mqa", _RANK + _ROPE, width)
    weights.norm(f"{block}.attn_kv_a_norm", _RANK)
    for name, shape in (("attn_k_b", (1, _RANK, _ROPE)), ("attn_v_b", (1, _RANK, _RANK))):
        values = random.standard_normal(shape).astype(np.float32) / np.float32(_RANK**0.5)
        writer.add_tensor(f"{block}.{name}.weight", values)
