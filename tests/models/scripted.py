"""Models whose next token depends on the last one alone: scripted ones, and ones that go by chance."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from gguf import TokenType

from tests.model_parts import (
    CHATML,
    END,
    FIRST_BYTE,
    Quantisation,
    Shape,
    Token,
    Weights,
    add_decoder,
    add_metadata,
    byte_vocabulary,
    finish,
    follow_table,
    model_writer,
)


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
    quantisation: Quantisation,
    **shape: int,
) -> None:
    """Write a scripted model that takes as long as a `llama` of this `Shape`: its blocks add nothing.

    The script and the bytes are at most as many tokens as the model is wide.
    """
    of, (vocabulary, follows, _) = Shape(**shape), scripted_vocabulary(script)
    writer = model_writer(path, "llama", "scripted-shape", vocabulary, CHATML, 4096)
    add_decoder(writer, of)
    weights = Weights(writer, 0, quantisation)
    weights.follower(follows, of.width)
    weights.norm("output_norm", of.width)
    for block in of.blocks:
        weights.attention(block, of, attends=1.0, adds=0.0)
        weights.feed_forward(block, of, adds=0.0)
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
    table = follow_table(follows, len(vocabulary))
    _last_token_model(path, vocabulary, table, chat_template, name, context_length, metadata)


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
    add_decoder(writer, Shape(layers=1, width=width, heads=1, kv_heads=1, head_size=64, ffn=64))
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
