"""What the test models are made of: a byte vocabulary, GGUF metadata and random tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Quantisation
from gguf import GGUFWriter, TokenType, quants
from gguf.constants import GGML_QUANT_SIZES

F32 = Quantisation.F32

CHATML = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)

UNKNOWN, BEGIN, END = 0, 1, 2
FIRST_BYTE = 3
"""The token of byte b is FIRST_BYTE + b."""

_CERTAIN = 8.0
"""Output weight of the one token that may follow: its logit is above 100, every other 0."""

Token = tuple[bytes, TokenType]


@dataclass(frozen=True)
class Shape:
    """Of a decoder. `head_size` 0: its heads share its width."""

    layers: int = 2
    width: int = 64
    heads: int = 2
    kv_heads: int = 1
    ffn: int = 128
    vocab: int = 512
    head_size: int = 0

    @property
    def head(self) -> int:
        return self.head_size or self.width // self.heads

    @property
    def blocks(self) -> list[str]:
        return [f"blk.{number}" for number in range(self.layers)]


def byte_vocabulary(size: int = FIRST_BYTE + 257) -> list[Token]:
    """Three control tokens, the 256 bytes, the space, and made-up words up to `size` tokens."""
    vocabulary = [(b"<unk>", TokenType.UNKNOWN), (b"<s>", TokenType.CONTROL), (b"</s>", TokenType.CONTROL)]
    vocabulary += [(b"<0x%02X>" % byte, TokenType.BYTE) for byte in range(256)]
    # This tokenizer writes a space as "▁" (U+2581) before it looks for pieces.
    vocabulary.append(("▁".encode(), TokenType.NORMAL))
    vocabulary += [(f"▁w{number}".encode(), TokenType.NORMAL) for number in range(size - len(vocabulary))]
    return vocabulary


def model_writer(
    path: Path,
    architecture: str,
    name: str,
    vocabulary: list[Token],
    chat_template: str | None,
    context_length: int,
) -> GGUFWriter:
    writer = GGUFWriter(path, architecture)
    writer.add_name(name)
    writer.add_context_length(context_length)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    add_tokens(writer, vocabulary)
    writer.add_unk_token_id(UNKNOWN)
    writer.add_bos_token_id(BEGIN)
    writer.add_eos_token_id(END)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    return writer


def add_tokens(writer: GGUFWriter, vocabulary: list[Token]) -> None:
    writer.add_token_list([text for text, _ in vocabulary])
    writer.add_token_types([kind for _, kind in vocabulary])
    writer.add_token_scores([0.0] * len(vocabulary))


def add_decoder(writer: GGUFWriter, of: Shape, *, rotated: int | None = None) -> None:
    """The metadata of a decoder's sizes. `rotated`: numbers of a head that get positions; by default all."""
    writer.add_embedding_length(of.width)
    writer.add_block_count(of.layers)
    writer.add_feed_forward_length(of.ffn)
    writer.add_head_count(of.heads)
    writer.add_head_count_kv(of.kv_heads)
    writer.add_key_length(of.head)
    writer.add_value_length(of.head)
    writer.add_rope_dimension_count(of.head if rotated is None else rotated)
    writer.add_layer_norm_rms_eps(1e-5)


def follow_table(follows: Sequence[int] | np.ndarray, width: int) -> np.ndarray:
    """An output matrix that makes token `follows[i]` come after token i, if the embedding is the identity."""
    table = np.zeros((len(follows), width), np.float32)
    table[follows, np.arange(len(follows))] = _CERTAIN
    return table


def add_metadata(writer: GGUFWriter, metadata: Mapping[str, int | float | str | bool] | None) -> None:
    for key, value in (metadata or {}).items():
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, int):
            writer.add_uint32(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        else:
            writer.add_string(key, value)


def finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


class Weights:
    """Adds random tensors to a file; blocks share their numbers, so that big shapes are quick to make."""

    def __init__(self, writer: GGUFWriter, seed: int, quantisation: Quantisation) -> None:
        self._writer = writer
        self._random = np.random.default_rng(seed)
        self._quantisation = quantisation
        self._made: dict[tuple[str, int, int], np.ndarray] = {}

    def matrix(self, name: str, rows: int, columns: int, *, scale: float = 1.0, silent_rows: int = 0) -> None:
        """A matrix of `rows` × `columns` whose product has `scale` times the size of its input."""
        key = (name.split(".")[-1], rows, columns)
        block = GGML_QUANT_SIZES[self._quantisation][0]
        kind = self._quantisation if columns % block == 0 else F32
        if key not in self._made:
            values = self._random.standard_normal((rows, columns), np.float32)
            values *= scale * columns**-0.5
            values[:silent_rows] = 0
            self._made[key] = quants.quantize(values, kind)
        self._writer.add_tensor(f"{name}.weight", self._made[key], raw_dtype=kind)

    def experts(self, name: str, count: int, rows: int, columns: int) -> None:
        """So many matrices; they share their numbers, each times another factor."""
        values = self._random.standard_normal((rows, columns), np.float32) * np.float32(columns**-0.5)
        stack = np.stack([values * np.float32(0.5 + 1.5 * i / count) for i in range(count)])
        self._writer.add_tensor(
            f"{name}.weight", quants.quantize(stack, self._quantisation), raw_dtype=self._quantisation
        )

    def routed(self, block: str, experts: int, of: Shape) -> None:
        """A router with a bias, and what experts read and write."""
        self.matrix(f"{block}.ffn_gate_inp", experts, of.width)
        self.vector(f"{block}.exp_probs_b.bias", experts)
        self.experts(f"{block}.ffn_up_exps", experts, of.ffn, of.width)
        self.experts(f"{block}.ffn_down_exps", experts, of.width, of.ffn)

    def kernel(self, name: str, channels: int, size: int) -> None:
        """What a convolution over the last `size` tokens weighs them with, in each channel."""
        values = self._random.standard_normal((channels, size), np.float32) * np.float32(size**-0.5)
        self._writer.add_tensor(f"{name}.weight", values)

    def vector(self, name: str, size: int) -> None:
        self._writer.add_tensor(name, self._random.standard_normal(size, np.float32) * np.float32(0.1))

    def norm(self, name: str, width: int, *, scale: float = 1.0) -> None:
        self._writer.add_tensor(f"{name}.weight", np.full(width, scale, np.float32))

    def encoder_block(self, block: str, width: int, ffn: int) -> None:
        """A block of CLIP's encoder: every norm and matrix has a bias."""
        self.biased_norm(f"{block}.ln1", width)
        self.biased_norm(f"{block}.ln2", width)
        for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
            self.biased_matrix(f"{block}.{part}", width, width)
        self.biased_matrix(f"{block}.ffn_up", ffn, width)
        self.biased_matrix(f"{block}.ffn_down", width, ffn)

    def biased_matrix(self, name: str, rows: int, columns: int) -> None:
        self.matrix(name, rows, columns)
        self.vector(f"{name}.bias", rows)

    def biased_norm(self, name: str, width: int) -> None:
        self.norm(name, width)
        self.vector(f"{name}.bias", width)

    def embedding_and_output(self, of: Shape) -> None:
        self.matrix("token_embd", of.vocab, of.width)
        # No logit of a control token is ever the highest: a greedy answer goes on until it is stopped.
        self.matrix("output", of.vocab, of.width, silent_rows=FIRST_BYTE)

    def follower(self, follows: Sequence[int], width: int) -> None:
        """Token `follows[i]` comes after token i, if blocks add nothing."""
        self._writer.add_tensor("token_embd.weight", np.eye(len(follows), width, dtype=np.float32))
        self._writer.add_tensor("output.weight", follow_table(follows, width))

    def attention(self, block: str, of: Shape, *, attends: float = 3.0, adds: float = 1.0) -> None:
        """By default it picks single tokens, so that the answer depends on every part of the prompt."""
        self.norm(f"{block}.attn_norm", of.width)
        self.matrix(f"{block}.attn_q", of.heads * of.head, of.width, scale=attends)
        self.matrix(f"{block}.attn_k", of.kv_heads * of.head, of.width)
        self.matrix(f"{block}.attn_v", of.kv_heads * of.head, of.width)
        self.matrix(f"{block}.attn_output", of.width, of.heads * of.head, scale=adds)

    def feed_forward(self, block: str, of: Shape, *, adds: float = 1.0) -> None:
        self.norm(f"{block}.ffn_norm", of.width)
        self.matrix(f"{block}.ffn_gate", of.ffn, of.width)
        self.matrix(f"{block}.ffn_up", of.ffn, of.width)
        self.matrix(f"{block}.ffn_down", of.width, of.ffn, scale=adds)

    def blocks(self, of: Shape) -> list[str]:
        """Attention and feed forward of each block; their names, for what they have besides."""
        for block in of.blocks:
            self.attention(block, of)
            self.feed_forward(block, of)
        return of.blocks
