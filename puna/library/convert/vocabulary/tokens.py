"""A list of tokens with scores and types, as in GGUF (ggml/docs/gguf.md, "Tokenizer")."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from puna.errors import BadRequest
from puna.library.convert.config import Config
from puna.library.convert.writing import Value

_ADDED_SCORE = -1000.0
_MOST_TOKENS = 4_000_000


class TokenType(IntEnum):
    """llama.h, llama_token_type; SentencePiece's own types have the same numbers."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass
class Vocabulary:
    """Tokens by id, of `model` "gpt2", "llama" or "bert". `file` is their source, for messages."""

    model: str
    file: str
    pre: str = "default"
    tokens: list[str] = field(default_factory=list)
    types: list[TokenType] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    extra: dict[str, Value] = field(default_factory=dict)
    """Further values, by full keys."""

    def put(self, at: int, text: str, kind: TokenType, score: float = 0.0) -> None:
        """Set token `at`; pads the list with unused tokens up to it."""
        self.fill(at + 1)
        self.tokens[at], self.types[at], self.scores[at] = text, kind, score

    def fill(self, size: int) -> None:
        """Pad to `size` with unused tokens: embeddings are often padded to a round number."""
        for at in range(len(self.tokens), size):
            self.tokens.append(f"[PAD{at}]")
            self.types.append(TokenType.UNUSED)
            self.scores.append(_ADDED_SCORE)

    def add(self, at: int, text: str, *, special: bool) -> None:
        """Add a token that was added after training; a user-defined one matches text literally."""
        if special or _looks_special(text):
            self.put(at, text, TokenType.CONTROL, _ADDED_SCORE)
        else:
            self.put(at, text.replace("▁", " "), TokenType.USER_DEFINED, _ADDED_SCORE)

    def values(self) -> dict[str, Value]:
        """The metadata. Raises BadRequest when two tokens have the same text, which crashes libllama."""
        if len(set(self.tokens)) < len(self.tokens):
            seen: set[str] = set()
            twice = next(text for text in self.tokens if text in seen or seen.add(text))
            raise BadRequest(f"{self.file} has the token {twice!r} twice")
        try:
            "".join(self.tokens).encode()
        except UnicodeEncodeError:
            raise BadRequest(f"{self.file} has a token that is no text") from None
        values: dict[str, Value] = {
            "tokenizer.ggml.model": self.model,
            "tokenizer.ggml.pre": self.pre,
            "tokenizer.ggml.tokens": self.tokens,
            "tokenizer.ggml.token_type": [int(kind) for kind in self.types],
        }
        if self.model == "llama":
            values["tokenizer.ggml.scores"] = self.scores
        if self.merges:
            values["tokenizer.ggml.merges"] = self.merges
        return values | self.extra


def tokens_by_id(file: str, entries: Any, size: int) -> list[tuple[int, str]]:
    """The texts of `entries`, a map of texts to ids below `size`, by id. Raises BadRequest."""
    if not isinstance(entries, dict) or not entries:
        raise BadRequest(f"{file} has no vocabulary")
    for text, at in entries.items():
        if type(at) is not int or not 0 <= at < min(size, _MOST_TOKENS):
            raise BadRequest(f"{file}: token {text!r} has the id {at!r}, but the model has {size} tokens")
    return sorted((at, text) for text, at in entries.items())


def added_tokens(tokenizer: Config, size: int) -> list[tuple[int, str, bool]]:
    """The id, text and "special" of tokenizer.json's added tokens with ids below `size`."""
    entries = tokenizer.get("added_tokens") or []
    tokens: list[tuple[int, str, bool]] = []
    try:
        for entry in entries:
            at, text = entry["id"], entry["content"]
            if type(at) is not int or at < 0 or not isinstance(text, str):
                raise ValueError
            if at < size:
                tokens.append((at, text, bool(entry.get("special"))))
    except (TypeError, KeyError, ValueError, AttributeError):
        raise BadRequest(f"{tokenizer.file}: an added token is not described") from None
    return tokens


def _looks_special(text: str) -> bool:
    """Whether an added token is a control token that its file does not mark (llama.cpp's converter)."""
    return (
        text in ("<pad>", "<mask>", "<2mass>", "[@BOS@]", "<start_of_turn>", "<end_of_turn>")
        or (text.startswith("<|") and text.endswith("|>"))
        or (text.startswith("<｜") and text.endswith("｜>"))
        or (text.startswith("<unused") and text.endswith(">"))
    )
