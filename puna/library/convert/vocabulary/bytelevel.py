"""Byte-level BPE (GPT-2's): tokenizer.json has the tokens, the merges and the pre-tokenizer."""

from __future__ import annotations

from typing import Any

from puna.errors import BadRequest
from puna.library.convert.config import Config
from puna.library.convert.vocabulary.pretokenizer import pretokenizer
from puna.library.convert.vocabulary.tokens import TokenType, Vocabulary, added_tokens, tokens_by_id


def is_byte_level(tokenizer: Config) -> bool:
    """Whether tokens spell bytes in GPT-2's alphabet."""
    parts = [tokenizer.section("decoder").values, tokenizer.section("pre_tokenizer").values]
    for part in list(parts):
        inner = part.get("pretokenizers") or part.get("decoders") or []
        parts += [step for step in inner if isinstance(step, dict)] if isinstance(inner, list) else []
    return any(part.get("type") == "ByteLevel" for part in parts)


def read(tokenizer: Config, size: int) -> Vocabulary:
    """The vocabulary in `tokenizer` for `size` tokens. Raises BadRequest."""
    model = tokenizer.section("model")
    vocabulary = Vocabulary("gpt2", tokenizer.file, pretokenizer(tokenizer))
    for at, text in tokens_by_id(tokenizer.file, model.get("vocab"), size):
        vocabulary.put(at, text, TokenType.NORMAL)
    for at, text, special in added_tokens(tokenizer, size):
        vocabulary.add(at, text, special=special)
    vocabulary.merges = [" ".join(_escape_spaces(part) for part in pair) for pair in merges(model)]
    return vocabulary


def merges(model: Config) -> list[tuple[str, str]]:
    """The pairs to merge, in order of rank, from either spelling."""
    pairs: list[tuple[str, str]] = []
    entries: Any = model.get("merges")
    if not isinstance(entries, list) or not entries:
        raise BadRequest(f"{model.file} has no merges")
    for entry in entries:
        pair = entry.split(" ") if isinstance(entry, str) else entry
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise BadRequest(f"{model.file}: {entry!r} is no merge")
        pairs.append((pair[0], pair[1]))
    return pairs


def _escape_spaces(part: str) -> str:
    """The part without spaces, which separate a pair: GPT-2's alphabet writes them as "Ġ"."""
    return part.replace(" ", "Ġ")
