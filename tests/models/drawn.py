"""Models with random weights: of every kind of memory that a context has, and those that embed and rank."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from gguf import ExpertGatingFuncType, GGUFWriter, PoolingType, TokenType

from tests.model_parts import (
    CHATML,
    F32,
    Quantisation,
    Shape,
    Weights,
    add_decoder,
    add_tokens,
    byte_vocabulary,
    finish,
    model_writer,
)

from .scripted import scripted_vocabulary


def shape_model(
    path: Path,
    *,
    context_length: int = 4096,
    quantisation: Quantisation = F32,
    seed: int = 0,
    name: str = "shape",
    file_type: int | None = None,
    **shape: int,
) -> None:
    """Write a `llama` of this `Shape` with random weights that practically never ends an answer."""
    of = Shape(**shape)
    writer = model_writer(path, "llama", name, byte_vocabulary(of.vocab), CHATML, context_length)
    if file_type is not None:
        writer.add_file_type(file_type)
    add_decoder(writer, of)
    weights = Weights(writer, seed, quantisation)
    weights.embedding_and_output(of)
    weights.norm("output_norm", of.width)
    weights.blocks(of)
    finish(writer)


def mixture_model(
    path: Path,
    *,
    experts: int = 8,
    used: int = 2,
    shared: bool = False,
    quantisation: Quantisation = F32,
    seed: int = 0,
    **shape: int,
) -> None:
    """Write a random `qwen2moe` whose blocks have experts and a shared one, or a `llama` without that.

    Routers are F32, as in files of real models.
    """
    of = Shape(**shape)
    family = "qwen2moe" if shared else "llama"
    writer = model_writer(path, family, "mixture", byte_vocabulary(of.vocab), CHATML, 4096)
    add_decoder(writer, of)
    writer.add_expert_count(experts)
    writer.add_expert_used_count(used)
    if shared:
        writer.add_expert_feed_forward_length(of.ffn)
        writer.add_expert_shared_feed_forward_length(of.ffn)
    weights, router = Weights(writer, seed, quantisation), Weights(writer, seed, F32)
    weights.embedding_and_output(of)
    weights.norm("output_norm", of.width)
    for block in of.blocks:
        weights.attention(block, of)
        weights.norm(f"{block}.ffn_norm", of.width)
        router.matrix(f"{block}.ffn_gate_inp", experts, of.width)
        weights.experts(f"{block}.ffn_gate_exps", experts, of.ffn, of.width)
        weights.experts(f"{block}.ffn_up_exps", experts, of.ffn, of.width)
        weights.experts(f"{block}.ffn_down_exps", experts, of.width, of.ffn)
        if shared:
            router.vector(f"{block}.ffn_gate_inp_shexp.weight", of.width)
            weights.matrix(f"{block}.ffn_gate_shexp", of.ffn, of.width)
            weights.matrix(f"{block}.ffn_up_shexp", of.ffn, of.width)
            weights.matrix(f"{block}.ffn_down_shexp", of.width, of.ffn)
    finish(writer)


def sliding_window_model(
    path: Path,
    *,
    window: int = 32,
    context_length: int = 4096,
    quantisation: Quantisation = F32,
    seed: int = 0,
    name: str = "window",
    **shape: int,
) -> None:
    """Write a random `gemma2`: even blocks see only the last `window` tokens, odd ones all."""
    of = Shape(**shape)
    writer = model_writer(path, "gemma2", name, byte_vocabulary(of.vocab), CHATML, context_length)
    add_decoder(writer, of)
    writer.add_sliding_window(window)
    writer.add_attn_logit_softcapping(50.0)
    writer.add_final_logit_softcapping(30.0)
    weights = Weights(writer, seed, quantisation)
    weights.matrix("token_embd", of.vocab, of.width)
    weights.norm("output_norm", of.width)
    for block in weights.blocks(of):
        # The output matrix is the embedding: without weight on the blocks a token would only repeat itself.
        weights.norm(f"{block}.post_attention_norm", of.width, scale=4.0)
        weights.norm(f"{block}.post_ffw_norm", of.width, scale=4.0)
    finish(writer)


def recurrent_model(
    path: Path,
    *,
    context_length: int = 4096,
    quantisation: Quantisation = F32,
    seed: int = 0,
    name: str = "recurrent",
    **shape: int,
) -> None:
    """Write a random `mamba`: one state for each sequence, which cannot be cut back to an earlier token."""
    of = Shape(**shape)
    width = of.width
    inner, state, kernel, rank = 2 * width, 16, 4, max(4, width // 16)
    writer = model_writer(path, "mamba", name, byte_vocabulary(of.vocab), CHATML, context_length)
    writer.add_embedding_length(width)
    writer.add_block_count(of.layers)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    weights = Weights(writer, seed, quantisation)
    weights.embedding_and_output(of)
    weights.norm("output_norm", width)
    for block in of.blocks:
        weights.norm(f"{block}.attn_norm", width)
        weights.matrix(f"{block}.ssm_in", 2 * inner, width)
        weights.kernel(f"{block}.ssm_conv1d", inner, kernel)
        weights.vector(f"{block}.ssm_conv1d.bias", inner)
        weights.matrix(f"{block}.ssm_x", rank + 2 * state, inner)
        weights.matrix(f"{block}.ssm_dt", inner, rank)
        weights.vector(f"{block}.ssm_dt.bias", inner)
        decay = -np.tile(np.arange(1, state + 1, dtype=np.float32), (inner, 1))
        writer.add_tensor(f"{block}.ssm_a", decay)
        writer.add_tensor(f"{block}.ssm_d", np.ones(inner, np.float32))
        weights.matrix(f"{block}.ssm_out", width, inner)
    finish(writer)


def hybrid_model(
    path: Path,
    *,
    context_length: int = 4096,
    quantisation: Quantisation = F32,
    seed: int = 0,
    name: str = "hybrid",
    script: Sequence[str] = (),
    experts: int = 0,
    **shape: int,
) -> None:
    """Write a random `lfm2`: a convolution over the last tokens in even blocks, attention in odd ones.

    With a `script` it says that: its blocks add nothing. With `experts` it is an `lfm2moe`.
    """
    vocabulary, follows, _ = scripted_vocabulary(script)
    adds = 0.0 if script else 1.0
    of = Shape(**shape | {"vocab": len(vocabulary)} if script else shape)
    vocabulary = vocabulary if script else byte_vocabulary(of.vocab)
    family = "lfm2moe" if experts else "lfm2"
    writer = model_writer(path, family, name, vocabulary, CHATML, context_length)
    width, kernel = of.width, 3
    writer.add_embedding_length(width)
    writer.add_block_count(of.layers)
    writer.add_feed_forward_length(of.ffn)
    writer.add_head_count(of.heads)
    writer.add_head_count_kv([of.kv_heads * (number % 2) for number in range(of.layers)])
    writer.add_rope_dimension_count(of.head)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(of.vocab)
    writer.add_shortconv_l_cache(kernel)
    if experts:
        writer.add_expert_count(experts)
        writer.add_expert_used_count(1)
        writer.add_expert_feed_forward_length(of.ffn)
        writer.add_expert_gating_func(ExpertGatingFuncType.SIGMOID)
    weights = Weights(writer, seed, quantisation)
    if script:
        weights.follower(follows, width)
    else:
        weights.embedding_and_output(of)
    weights.norm("token_embd_norm", width)
    for number, block in enumerate(of.blocks):
        if number % 2:
            weights.attention(block, of, adds=adds)
            weights.norm(f"{block}.attn_q_norm", of.head, scale=3.0)
            weights.norm(f"{block}.attn_k_norm", of.head)
        else:
            weights.norm(f"{block}.attn_norm", width)
            weights.matrix(f"{block}.shortconv.in_proj", 3 * width, width)
            weights.kernel(f"{block}.shortconv.conv", width, kernel)
            weights.matrix(f"{block}.shortconv.out_proj", width, width, scale=adds)
        if experts:
            weights.norm(f"{block}.ffn_norm", width)
            weights.routed(block, experts, of)
            weights.experts(f"{block}.ffn_gate_exps", experts, of.ffn, width)
        else:
            weights.feed_forward(block, of, adds=adds)
    finish(writer)


def embedding_model(
    path: Path,
    *,
    width: int = 64,
    context_length: int = 128,
    seed: int = 0,
    name: str = "embedding",
    pooling: PoolingType | None = PoolingType.MEAN,
    classifier: bool = False,
) -> None:
    """Write a random `bert` whose word pieces are the printable ASCII characters.

    One with a `classifier` ranks; `pooling` None leaves out how its tokens become a vector.
    """
    layers, heads, ffn = 2, 2, 128
    letters = [chr(code) for code in range(0x21, 0x7F)]
    texts = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *("▁" + c for c in letters), *letters]
    vocabulary = [(t.encode(), TokenType.CONTROL if i < 5 else TokenType.NORMAL) for i, t in enumerate(texts)]
    writer = GGUFWriter(path, "bert")
    writer.add_name(name)
    writer.add_context_length(context_length)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    if pooling is not None:
        writer.add_pooling_type(pooling)
    writer.add_tokenizer_model("bert")
    writer.add_token_type_count(2)
    add_tokens(writer, vocabulary)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(1)
    writer.add_bos_token_id(2)
    writer.add_sep_token_id(3)
    writer.add_mask_token_id(4)
    weights = Weights(writer, seed, F32)
    weights.matrix("token_embd", len(vocabulary), width)
    weights.matrix("token_types", 2, width)
    weights.matrix("position_embd", context_length, width)
    weights.biased_norm("token_embd_norm", width)
    for block in (f"blk.{number}" for number in range(layers)):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights.biased_matrix(f"{block}.{part}", width, width)
        weights.biased_norm(f"{block}.attn_output_norm", width)
        weights.biased_matrix(f"{block}.ffn_up", ffn, width)
        weights.biased_matrix(f"{block}.ffn_down", width, ffn)
        weights.biased_norm(f"{block}.layer_output_norm", width)
    if classifier:
        weights.biased_matrix("cls", width, width)
        weights.biased_matrix("cls.output", 1, width)
    finish(writer)


def decoder_embedding_model(
    path: Path,
    *,
    context_length: int = 4096,
    seed: int = 0,
    name: str = "decoder-embedding",
    rerank_template: str | None = None,
) -> None:
    """Write a random `qwen3` that embeds by its last token, the form of qwen3-embedding.

    With `rerank_template` it ranks by how likely "yes" is after that, the form of qwen3-reranker.
    """
    of = Shape()
    writer = model_writer(path, "qwen3", name, byte_vocabulary(of.vocab), None, context_length)
    add_decoder(writer, of)
    writer.add_pooling_type(PoolingType.RANK if rerank_template else PoolingType.LAST)
    writer.add_add_eos_token(True)
    if rerank_template:
        writer.add_classifier_output_labels(["yes", "no"])
        writer.add_chat_template([{"name": "rerank", "template": rerank_template}])
    weights = Weights(writer, seed, F32)
    weights.embedding_and_output(of)
    weights.norm("output_norm", of.width)
    for block in weights.blocks(of):
        weights.norm(f"{block}.attn_q_norm", of.head)
        weights.norm(f"{block}.attn_k_norm", of.head)
    if rerank_template:
        weights.matrix("cls.output", 2, of.width)
    finish(writer)
