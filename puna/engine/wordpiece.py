"""WordPiece, the tokenizer of BERT models, as Hugging Face's BertTokenizer defines it.

libllama's own drops vowel signs and Hangul letters as if they were accents, so its vectors of Korean, Hindi
and Bengali texts are wrong. The `tokenizers` package would bring Hugging Face's hub client and eight more.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

_WORD_START = "▁"
"""Marks pieces at the beginning of a word in a GGUF vocabulary; the others continue a word."""

_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_LONGEST_WORD = 100
_CJK = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)


@dataclass(frozen=True)
class Normalizer:
    """The normalisation of text: the settings of Hugging Face's BertNormalizer."""

    lowercase: bool = True
    strip_accents: bool = True
    clean_text: bool = True
    """Control characters are dropped; every kind of blank becomes a space."""
    handle_chinese_chars: bool = True
    """Each Chinese character is a word."""


class WordPiece:
    """Text to token ids, without the begin and end tokens."""

    def __init__(self, pieces: Sequence[str], unknown: int, normalizer: Normalizer | None = None) -> None:
        """`pieces`: the vocabulary as in a GGUF file; `unknown`: the id of [UNK].

        If the file has no `normalizer`, the vocabulary shows whether it is cased.
        """
        self._ids = {piece: token for token, piece in enumerate(pieces)}
        self._unknown = unknown
        special = [name for name in _SPECIAL if name in self._ids]
        self._special = re.compile(f"({'|'.join(map(re.escape, special))})" if special else "(?!)")
        cased = any(piece[:1] == _WORD_START and "A" <= piece[1:2] <= "Z" for piece in pieces)
        self._normalizer = normalizer or Normalizer(lowercase=not cased, strip_accents=not cased)

    def encode(self, text: str) -> list[int]:
        tokens: list[int] = []
        # The split has the special tokens at odd indices.
        for place, part in enumerate(self._special.split(text)):
            if place % 2:
                tokens.append(self._ids[part])
            else:
                for word in words(part, self._normalizer):
                    tokens += self._encode_word(word)
        return tokens

    def _encode_word(self, word: str) -> list[int]:
        """The longest matching piece, repeatedly. If a part matches none, the whole word is unknown."""
        if len(word) > _LONGEST_WORD:
            return [self._unknown]
        tokens: list[int] = []
        start, mark = 0, _WORD_START
        while start < len(word):
            for end in range(len(word), start, -1):
                token = self._ids.get(mark + word[start:end])
                if token is not None:
                    tokens.append(token)
                    start, mark = end, ""
                    break
            else:
                return [self._unknown]
        return tokens


def words(text: str, normalizer: Normalizer) -> list[str]:
    """Words and punctuation marks, normalized."""
    text = "".join(_clean(character) for character in text) if normalizer.clean_text else text
    if normalizer.handle_chinese_chars:
        text = "".join(f" {character} " if _is_chinese(character) else character for character in text)
    if normalizer.strip_accents:
        decomposed = unicodedata.normalize("NFD", text)
        text = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    if normalizer.lowercase:
        text = text.replace("Σ", "σ").lower()  # also at the end of a word, where Python writes another letter
    parts: list[str] = []
    for chunk in text.split():
        word = ""
        for character in chunk:
            if _is_punctuation(character):
                parts += [word, character]
                word = ""
            else:
                word += character
        parts.append(word)
    return [word for word in parts if word]


def _clean(character: str) -> str:
    """The character as a blank, as nothing, or as it is."""
    if character in "\t\n\r":
        return " "
    if character == "\ufffd" or unicodedata.category(character).startswith("C"):
        return ""
    return " " if character.isspace() else character


def _is_chinese(character: str) -> bool:
    code = ord(character)
    return any(low <= code <= high for low, high in _CJK)


def _is_punctuation(character: str) -> bool:
    code = ord(character)
    ascii_mark = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    return ascii_mark or unicodedata.category(character).startswith("P")
