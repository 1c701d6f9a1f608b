"""Finds where a text's last tokens occurred before, by a linear search without an index (prompt lookup)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LEAST = 3
"""Fewest matching tokens from which a draft is made."""

MOST = 16
"""Most tokens to compare; longer matches predict no better."""

_MAX_MATCHES = 32
"""Most occurrences to compare, the last ones first."""

_SEPARATOR = -1
"""Separates two answers. It is no token."""

_MAX_SHARED = 16_384
"""Tokens of earlier answers, for each owner."""

_MAX_OWNERS = 32


class TokenText:
    """Token ids that grow at the end."""

    def __init__(self, tokens: Sequence[int] = ()) -> None:
        self._data = np.empty(2 * len(tokens) + 256, np.int32)
        self._data[: len(tokens)] = tokens
        self._length = len(tokens)

    def __len__(self) -> int:
        return self._length

    def extend(self, tokens: Sequence[int]) -> None:
        end = self._length + len(tokens)
        if end > len(self._data):
            self._data = np.resize(self._data, 2 * end)
        self._data[self._length : end] = tokens
        self._length = end

    def end(self, most: int) -> NDArray[np.int32]:
        """The last tokens, at most `most`."""
        return self._data[max(0, self._length - most) : self._length]

    def find(self, tail: NDArray[np.int32]) -> tuple[int, int]:
        """The index after the longest match of a suffix of `tail` (of equal ones, the last), and its length.

        The length is at least `LEAST`, or 0 if no match has a token after it.
        """
        if len(tail) < LEAST:
            return 0, 0
        text = self._data[: self._length]
        places = np.flatnonzero(text[:-1] == tail[-1])
        for back in range(1, LEAST):
            places = places[places >= back]
            places = places[text[places - back] == tail[-1 - back]]
        if not len(places):
            return 0, 0
        places = places[-_MAX_MATCHES:]
        before = places[:, None] - np.arange(len(tail))
        matches = (text[np.maximum(before, 0)] == tail[::-1]) & (before >= 0)
        lengths = np.logical_and.accumulate(matches, axis=1).sum(axis=1)
        best = len(places) - 1 - int(lengths[::-1].argmax())
        return int(places[best]) + 1, int(lengths[best])

    def index_after(self, token: int, start: int, most: int) -> int:
        """The index after the first `token` among the `most` tokens from `start` on.

        0 if there is none, or no token follows it.
        """
        places = np.flatnonzero(self._data[start : min(start + most, self._length - 1)] == token)
        return start + int(places[0]) + 1 if len(places) else 0

    def continuation(self, place: int, most: int) -> list[int]:
        """At most `most` tokens from `place` on. At the text's end they repeat from `place`."""
        tokens = self._data[place : min(place + most, self._length)]
        separators = np.flatnonzero(tokens == _SEPARATOR)
        if len(separators) or not len(tokens):
            return tokens[: separators[0] if len(separators) else 0].tolist()
        return np.resize(tokens, most).tolist()


class SharedTexts:
    """The last answers of each owner, so that drafts never come from another owner's text."""

    def __init__(self) -> None:
        self._texts: OrderedDict[str, TokenText] = OrderedDict()

    def add(self, owner: str, tokens: Sequence[int]) -> None:
        text = self._texts.pop(owner, None) or TokenText()
        if len(text) > 2 * _MAX_SHARED:
            # A new object, because a sequence may still draft from the old one.
            text = TokenText(text.end(_MAX_SHARED).tolist())
        text.extend([*tokens[-_MAX_SHARED:], _SEPARATOR])
        self._texts[owner] = text
        if len(self._texts) > _MAX_OWNERS:
            self._texts.popitem(last=False)

    def of(self, owner: str) -> TokenText:
        return self._texts.get(owner) or TokenText()


def common_prefix(one: Sequence[int], other: Sequence[int]) -> int:
    """Length of the common prefix."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(at for at in range(most) if one[at] != other[at])
