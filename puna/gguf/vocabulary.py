"""Whether the tokens of one model are those of another."""

from __future__ import annotations

from collections.abc import Sequence

_PADDING = 128
"""Tokens that no text uses, by which models of one family differ (llama.cpp common/speculative.cpp)."""


def disagreement(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """How a vocabulary differs from another one, in words; "" if what both have is the same."""
    if abs(len(ours) - len(theirs)) > _PADDING:
        return f"it has {len(ours)} tokens, not {len(theirs)}"
    for token, (one, other) in enumerate(zip(ours, theirs, strict=False)):
        if one != other:
            return f"its token {token} is {one!r}, not {other!r}"
    return ""
