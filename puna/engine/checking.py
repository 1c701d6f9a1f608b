"""Checks a grammar without a model."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from puna.types import Grammar

if TYPE_CHECKING:
    from puna.engine.grammar import Grammars


def check_grammar(grammar: Grammar) -> None:
    """Raises BadRequest when no model can follow the grammar. The first call takes a tenth of a second."""
    _grammars().matcher(grammar)


@lru_cache(maxsize=1)
def _grammars() -> Grammars:
    # Imported late: the server starts without NumPy and the grammar library.
    from puna.engine.grammar import Grammars

    return Grammars(_Bytes())


class _Bytes:
    """The smallest vocabulary: all bytes, and an end token."""

    n_vocab = 257

    def spell(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b"<end>"

    def piece(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""

    def ends(self, token: int) -> bool:
        return token == 256

    def tokenize(self, text: str, *, add_special: bool) -> list[int]:
        return list(text.encode())
