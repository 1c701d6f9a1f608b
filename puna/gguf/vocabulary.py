"""Compares the vocabularies of two models."""

from __future__ import annotations

from collections.abc import Sequence

_PADDING = 128
"""Tolerated difference in size, of unused tokens within one family (llama.cpp common/speculative.cpp)."""


def disagreement(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """How a vocabulary differs from another, in words; "" if their common part is equal."""
    if abs(len(ours) - len(theirs)) > _PADDING:
        return f"it has {len(ours)} tokens, not {len(theirs)}"
    for token, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return f"its token {token} is {one!r}, not {other!r}"
    return ""
