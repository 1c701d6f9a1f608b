"""Small real GGUF models, made on the spot: tests load these with the real engine instead of faking one."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGUFReader, GGUFWriter, PoolingType, TokenType

from puna.gguf import read_metadata
from puna.library import Layer, Library, Name, describe
from tests.model_parts import (
    END,
    F32,
    FIRST_BYTE,
    Quantisation,
    Token,
    Weights,
    add_decoder,
    add_metadata,
    add_tokens,
    byte_vocabulary,
    finish,
    model_writer,
)

CHATML = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_CERTAIN = 8.0
"""Output weight of the one token that may follow: its logit is above 100, every other 0."""
_IMAGE = "application/vnd.ollama.image."


def scripted_model(
    path: Path,
    script: str | Iterable[str | bytes],
    *,
    name: str = "scripted",
    chat_template: str | None = CHATML,
    context_length: int = 4096,
    control: Collection[str] = (),
    endless: bool = False,
    astray: int = 0,
    metadata: Mapping[str, int | float | str | bool] | None = None,
) -> list[bytes]:
    """Write a model that answers every prompt with `script`; return the pieces, one a token.

    A `str` script is cut into words. An item is one user-defined token, so that an answer put back into a
    prompt gives the same tokens; one named in `control` is a control token. Bytes, single ASCII characters
    and items that came before are spelled as byte tokens. After the script comes the end token, or the
    script again if `endless`. Behind every `astray`-th token it begins anew: a draft model that is wrong. A
    prompt may hold the script's words but must not end in one.
    """
    vocabulary, follows, pieces = scripted_vocabulary(script, control, endless=endless)
    if astray:
        start = len(vocabulary) - len(pieces)
        follows[start::astray] = [start] * len(follows[start::astray])
    follower_model(path, vocabulary, follows, chat_template, name, context_length, metadata)
    return pieces


def scripted_vocabulary(
    script: str | Iterable[str | bytes], control: Collection[str] = (), *, endless: bool = False
) -> tuple[list[Token], list[int], list[bytes]]:
    """A vocabulary for `script`, which token follows each, and the script's pieces, one a token."""
    items = re.findall(r"\s*\S+|\s+$", script) if isinstance(script, str) else list(script)
    vocabulary = byte_vocabulary()
    start, pieces = len(vocabulary), []
    seen: set[bytes] = {text for text, _ in vocabulary}
    for item in items:
        text = item.encode() if isinstance(item, str) else item
        if isinstance(item, str) and len(text) > 1 and text not in seen:
            kind = TokenType.CONTROL if item in control else TokenType.USER_DEFINED
            seen.add(text)
            vocabulary.append((text, kind))
            pieces.append(text)
        else:
            # libllama wants every token's text unique and reads only the two digits of a byte token's.
            for byte in text:
                vocabulary.append((b"<0x%02X>#%d" % (byte, len(vocabulary)), TokenType.BYTE))
                pieces.append(bytes([byte]))

    follows = [END] * start
    if pieces:
        follows = [start] * start + [*range(start + 1, len(vocabulary)), start if endless else END]
    return vocabulary, follows, pieces


def scripted_shape_model(
    path: Path,
    script: str | Iterable[str | bytes],
    *,
    layers: int,
    width: int,
    heads: int,
    kv_heads: int,
    ffn: int,
    quantisation: Quantisation,
) -> None:
    """Write a scripted model that takes as long as a `llama` of this shape: its blocks add nothing.

    The script and the bytes are at most `width` tokens.
    """
    vocabulary, follows, _ = scripted_vocabulary(script)
    size = len(vocabulary)
    embedding = np.eye(size, width, dtype=np.float32)
    output = np.zeros((size, width), np.float32)
    output[follows, np.arange(size)] = _CERTAIN
    writer = model_writer(path, "llama", "scripted-shape", vocabulary, CHATML, 4096)
    add_decoder(writer, layers, width, heads, kv_heads, width // heads, ffn)
    weights = Weights(writer, 0, quantisation)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    weights.norm("output_norm", width)
    for block in (f"blk.{number}" for number in range(layers)):
        weights.norm(f"{block}.attn_norm", width)
        weights.matrix(f"{block}.attn_q", width, width)
        weights.matrix(f"{block}.attn_k", kv_heads * width // heads, width)
        weights.matrix(f"{block}.attn_v", kv_heads * width // heads, width)
        weights.matrix(f"{block}.attn_output", width, width, scale=0.0)
        weights.norm(f"{block}.ffn_norm", width)
        weights.matrix(f"{block}.ffn_gate", ffn, width)
        weights.matrix(f"{block}.ffn_up", ffn, width)
        weights.matrix(f"{block}.ffn_down", width, ffn, scale=0.0)
    finish(writer)


def follower_model(
    path: Path,
    vocabulary: list[Token],
    follows: Sequence[int],
    chat_template: str | None = CHATML,
    name: str = "follower",
    context_length: int = 4096,
    metadata: Mapping[str, int | float | str | bool] | None = None,
) -> None:
    """Write a model in which token `follows[i]` comes after token `i`, whatever came before.

    A `llama` with one block that adds nothing: the embedding is the identity, the output matrix the table.
    """
    size = len(vocabulary)
    output = np.zeros((size, size), np.float32)
    output[follows, np.arange(size)] = _CERTAIN
    _last_token_model(path, vocabulary, output, chat_template, name, context_length, metadata)


def chance_model(path: Path, *, seed: int = 0, context_length: int = 4096) -> None:
    """Write a model whose next token depends by chance on the last one alone, with a few likely ones.

    Each logit is one product, so that batches of every shape give the same bits.
    """
    vocabulary = byte_vocabulary(320)
    random = np.random.default_rng(seed)
    output = random.standard_normal((len(vocabulary), len(vocabulary))).astype(np.float32) * np.float32(0.15)
    output[:FIRST_BYTE] = 0
    _last_token_model(path, vocabulary, output, CHATML, "chance", context_length, None)


def _last_token_model(
    path: Path,
    vocabulary: list[Token],
    table: np.ndarray,
    chat_template: str | None,
    name: str,
    context_length: int,
    metadata: Mapping[str, int | float | str | bool] | None,
) -> None:
    """`table[j, i]`: what makes token j come after token i."""
    size = len(vocabulary)
    width = -(-size // 64) * 64
    embedding = np.zeros((size, width), np.float32)
    embedding[np.arange(size), np.arange(size)] = 1
    output = np.zeros((size, width), np.float32)
    output[:, :size] = table

    writer = model_writer(path, "llama", name, vocabulary, chat_template, context_length)
    add_decoder(writer, layers=1, width=width, heads=1, kv_heads=1, head_size=64, ffn=64)
    add_metadata(writer, metadata)
    writer.add_tensor("token_embd.weight", embedding)
    writer.add_tensor("output.weight", output)
    for norm in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{norm}.weight", np.ones(width, np.float32))
    for part in ("attn_q", "attn_k", "attn_v", "ffn_gate", "ffn_up"):
        writer.add_tensor(f"blk.0.{part}.weight", np.zeros((64, width), np.float32))
    for part in ("attn_output", "ffn_down"):
        writer.add_tensor(f"blk.0.{part}.weight", np.zeros((width, 64), np.float32))
    finish(writer)


def shape_model(
    path: Path,
    *,
    layers: int = 2,
    width: int = 64,
    heads: int = 2,
    kv_heads: int = 1,
    ffn: int = 128,
    vocab: int = 512,
    context_length: int = 4096,
    quantisation: Quantisation = F32,
    seed: int = 0,
    name: str = "shape",
    file_type: int | None = None,
) -> None:
    """Write a `llama` model of the given shape with random weights that practically never ends an answer."""
    writer = model_writer(path, "llama", name, byte_vocabulary(vocab), CHATML, context_length)
    if file_type is not None:
        writer.add_file_type(file_type)
    add_decoder(writer, layers, width, heads, kv_heads, width // heads, ffn)
    weights = Weights(writer, seed, quantisation)
    weights.embedding_and_output(vocab, width)
    weights.norm("output_norm", width)
    weights.blocks(layers, width, heads, kv_heads, ffn)
    finish(writer)


def mixture_model(
    path: Path,
    *,
    experts: int = 8,
    used: int = 2,
    layers: int = 2,
    width: int = 64,
    heads: int = 2,
    kv_heads: int = 1,
    ffn: int = 128,
    vocab: int = 512,
    shared: bool = False,
    quantisation: Quantisation = F32,
    seed: int = 0,
) -> None:
    """Write a random `qwen2moe` whose blocks have experts and a shared one, or a `llama` without that.

    Routers are F32, as in files of real models.
    """
    family = "qwen2moe" if shared else "llama"
    writer = model_writer(path, family, "mixture", byte_vocabulary(vocab), CHATML, 4096)
    add_decoder(writer, layers, width, heads, kv_heads, width // heads, ffn)
    writer.add_expert_count(experts)
    writer.add_expert_used_count(used)
    if shared:
        writer.add_expert_feed_forward_length(ffn)
        writer.add_expert_shared_feed_forward_length(ffn)
    weights, router = Weights(writer, seed, quantisation), Weights(writer, seed, F32)
    weights.embedding_and_output(vocab, width)
    weights.norm("output_norm", width)
    for block in (f"blk.{number}" for number in range(layers)):
        weights.attention(block, width, heads, kv_heads)
        weights.norm(f"{block}.ffn_norm", width)
        router.matrix(f"{block}.ffn_gate_inp", experts, width)
        weights.experts(f"{block}.ffn_gate_exps", experts, ffn, width)
        weights.experts(f"{block}.ffn_up_exps", experts, ffn, width)
        weights.experts(f"{block}.ffn_down_exps", experts, width, ffn)
        if shared:
            router.vector(f"{block}.ffn_gate_inp_shexp.weight", width)
            weights.matrix(f"{block}.ffn_gate_shexp", ffn, width)
            weights.matrix(f"{block}.ffn_up_shexp", ffn, width)
            weights.matrix(f"{block}.ffn_down_shexp", width, ffn)
    finish(writer)


def sliding_window_model(
    path: Path,
    *,
    layers: int = 2,
    width: int = 64,
    heads: int = 2,
    kv_heads: int = 1,
    ffn: int = 128,
    vocab: int = 512,
    window: int = 32,
    context_length: int = 4096,
    quantisation: Quantisation = F32,
    seed: int = 0,
    name: str = "window",
) -> None:
    """Write a random `gemma2`: even blocks see only the last `window` tokens, odd ones all."""
    writer = model_writer(path, "gemma2", name, byte_vocabulary(vocab), CHATML, context_length)
    add_decoder(writer, layers, width, heads, kv_heads, width // heads, ffn)
    writer.add_sliding_window(window)
    writer.add_attn_logit_softcapping(50.0)
    writer.add_final_logit_softcapping(30.0)
    weights = Weights(writer, seed, quantisation)
    weights.matrix("token_embd", vocab, width)
    weights.norm("output_norm", width)
    for block in weights.blocks(layers, width, heads, kv_heads, ffn):
        # The output matrix is the embedding: without weight on the blocks a token would only repeat itself.
        weights.norm(f"{block}.post_attention_norm", width, scale=4.0)
        weights.norm(f"{block}.post_ffw_norm", width, scale=4.0)
    finish(writer)


def recurrent_model(
    path: Path,
    *,
    layers: int = 2,
    width: int = 64,
    vocab: int = 512,
    context_length: int = 4096,
    quantisation: Quantisation = F32,
    seed: int = 0,
    name: str = "recurrent",
) -> None:
    """Write a random `mamba`: one state for each sequence, which cannot be cut back to an earlier token."""
    inner, state, kernel, rank = 2 * width, 16, 4, max(4, width // 16)
    writer = model_writer(path, "mamba", name, byte_vocabulary(vocab), CHATML, context_length)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(0)
    writer.add_head_count(0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_ssm_conv_kernel(kernel)
    writer.add_ssm_inner_size(inner)
    writer.add_ssm_state_size(state)
    writer.add_ssm_time_step_rank(rank)
    weights = Weights(writer, seed, quantisation)
    weights.embedding_and_output(vocab, width)
    weights.norm("output_norm", width)
    for block in (f"blk.{number}" for number in range(layers)):
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
    layers: int = 2,
    width: int = 64,
    heads: int = 2,
    kv_heads: int = 1,
    ffn: int = 128,
    vocab: int = 512,
    context_length: int = 4096,
    quantisation: Quantisation = F32,
    seed: int = 0,
    name: str = "hybrid",
) -> None:
    """Write a random `lfm2`: a convolution over the last tokens in even blocks, attention in odd ones."""
    writer = model_writer(path, "lfm2", name, byte_vocabulary(vocab), CHATML, context_length)
    head_size, kernel = width // heads, 3
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv([kv_heads * (number % 2) for number in range(layers)])
    writer.add_rope_dimension_count(head_size)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocab)
    writer.add_shortconv_l_cache(kernel)
    weights = Weights(writer, seed, quantisation)
    weights.embedding_and_output(vocab, width)
    weights.norm("token_embd_norm", width)
    for number in range(layers):
        block = f"blk.{number}"
        if number % 2:
            weights.attention(block, width, heads, kv_heads)
            weights.norm(f"{block}.attn_q_norm", head_size, scale=3.0)
            weights.norm(f"{block}.attn_k_norm", head_size)
        else:
            weights.norm(f"{block}.attn_norm", width)
            weights.matrix(f"{block}.shortconv.in_proj", 3 * width, width)
            weights.kernel(f"{block}.shortconv.conv", width, kernel)
            weights.matrix(f"{block}.shortconv.out_proj", width, width)
        weights.feed_forward(block, width, ffn)
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
    layers, width, heads, kv_heads, ffn, vocab = 2, 64, 2, 1, 128, 512
    writer = model_writer(path, "qwen3", name, byte_vocabulary(vocab), None, context_length)
    add_decoder(writer, layers, width, heads, kv_heads, width // heads, ffn)
    writer.add_pooling_type(PoolingType.RANK if rerank_template else PoolingType.LAST)
    writer.add_add_eos_token(True)
    if rerank_template:
        writer.add_classifier_output_labels(["yes", "no"])
        writer.add_chat_template([{"name": "rerank", "template": rerank_template}])
    weights = Weights(writer, seed, F32)
    weights.embedding_and_output(vocab, width)
    weights.norm("output_norm", width)
    for block in weights.blocks(layers, width, heads, kv_heads, ffn):
        weights.norm(f"{block}.attn_q_norm", width // heads)
        weights.norm(f"{block}.attn_k_norm", width // heads)
    if rerank_template:
        weights.matrix("cls.output", 2, width)
    finish(writer)


def install(
    library_root: Path,
    name: str,
    gguf_path: Path,
    *,
    template: str | None = None,
    system: str | None = None,
    parameters: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
) -> None:
    """Put a GGUF file into the model store at `library_root` under `name`; `config` is laid over its own."""
    library = Library(library_root)
    texts = {
        "template": template,
        "system": system,
        "params": json.dumps(dict(parameters)) if parameters else None,
    }
    with gguf_path.open("rb") as file:
        layers = [Layer(_IMAGE + "model", *library.blobs.add(file))]
    for kind, text in texts.items():
        if text is not None:
            layers.append(Layer(_IMAGE + kind, *library.blobs.add([text.encode()])))
    described = describe(read_metadata(gguf_path)) | dict(config or {})
    library.write_manifest(Name.parse(name), described, layers)


def add_layer(library: Library, source: str, kind: str, file: Path, *, name: str) -> None:
    """`name`: the model `source`, with `file` as one more layer of this kind."""
    model = library.open(source)
    layer = Layer(_IMAGE + kind, *library.blobs.add([file.read_bytes()]))
    library.write_manifest(Name.parse(name), model.config, [*model.layers, layer])


def damage(path: Path, tensor: str, rows: slice = slice(None), value: float = np.nan) -> None:
    """Overwrite rows of a float32 tensor in a GGUF file."""
    reader = GGUFReader(path, "r+")
    found = next(one for one in reader.tensors if one.name == tensor)
    found.data[rows] = value
    reader.data.flush()
