"""What the test models are made of: a byte vocabulary, GGUF metadata and random tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Quantisation
from gguf import GGUFWriter, TokenType, quants
from gguf.constants import GGML_QUANT_SIZES

F32 = Quantisation.F32

UNKNOWN, BEGIN, END = 0, 1, 2
FIRST_BYTE = 3
"""The token of byte b is FIRST_BYTE + b."""

Token = tuple[bytes, TokenType]


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


def add_decoder(
    writer: GGUFWriter, layers: int, width: int, heads: int, kv_heads: int, head_size: int, ffn: int
) -> None:
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(ffn)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads)
    writer.add_key_length(head_size)
    writer.add_value_length(head_size)
    writer.add_rope_dimension_count(head_size)
    writer.add_layer_norm_rms_eps(1e-5)


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

    def kernel(self, name: str, channels: int, size: int) -> None:
        """What a convolution over the last `size` tokens weighs them with, in each channel."""
        values = self._random.standard_normal((channels, size), np.float32) * np.float32(size**-0.5)
        self._writer.add_tensor(f"{name}.weight", values)

    def vector(self, name: str, size: int) -> None:
        self._writer.add_tensor(name, self._random.standard_normal(size, np.float32) * np.float32(0.1))

    def norm(self, name: str, width: int, *, scale: float = 1.0) -> None:
        self._writer.add_tensor(f"{name}.weight", np.full(width, scale, np.float32))

    def biased_matrix(self, name: str, rows: int, columns: int) -> None:
        self.matrix(name, rows, columns)
        self.vector(f"{name}.bias", rows)

    def biased_norm(self, name: str, width: int) -> None:
        self.norm(name, width)
        self.vector(f"{name}.bias", width)

    def embedding_and_output(self, vocab: int, width: int) -> None:
        self.matrix("token_embd", vocab, width)
        # No logit of a control token is ever the highest: a greedy answer goes on until it is stopped.
        self.matrix("output", vocab, width, silent_rows=FIRST_BYTE)

    def attention(self, block: str, width: int, heads: int, kv_heads: int) -> None:
        head_size = width // heads
        self.norm(f"{block}.attn_norm", width)
        # Attention that picks single tokens, so that the answer depends on every part of the prompt.
        self.matrix(f"{block}.attn_q", width, width, scale=3.0)
        self.matrix(f"{block}.attn_k", kv_heads * head_size, width)
        self.matrix(f"{block}.attn_v", kv_heads * head_size, width)
        self.matrix(f"{block}.attn_output", width, width)

    def feed_forward(self, block: str, width: int, ffn: int) -> None:
        self.norm(f"{block}.ffn_norm", width)
        self.matrix(f"{block}.ffn_gate", ffn, width)
        self.matrix(f"{block}.ffn_up", ffn, width)
        self.matrix(f"{block}.ffn_down", width, ffn)

    def blocks(self, layers: int, width: int, heads: int, kv_heads: int, ffn: int) -> list[str]:
        """Attention and feed forward of each block; their names, for what they have besides."""
        blocks = [f"blk.{number}" for number in range(layers)]
        for block in blocks:
            self.attention(block, width, heads, kv_heads)
            self.feed_forward(block, width, ffn)
        return blocks
