"""Finds markers in text that arrives in pieces."""

from __future__ import annotations

import re
from functools import lru_cache


class Markers:
    """Texts to search for. No text may be a prefix of another, so that chunking does not matter."""

    def __init__(self, texts: tuple[str, ...]) -> None:
        self.search = re.compile("|".join(map(re.escape, texts))).search
        self._first = re.compile("[" + "".join(re.escape(text[0]) for text in texts) + "]").search
        self._beginnings = frozenset(text[:size] for text in texts for size in range(1, len(text)))
        self._longest = max(map(len, texts))
        self._texts = texts
        if self._beginnings & set(texts):
            raise ValueError(f"one marker begins another: {texts}")

    def safe(self, text: str, at: int) -> int:
        """The position from `at` where the end of `text` may begin a marker."""
        start = max(at, len(text) - self._longest + 1)
        while found := self._first(text, start):
            if text[found.start() :] in self._beginnings:
                return found.start()
            start = found.end()
        return len(text)

    def begun(self, text: str, at: int, *, surely: bool) -> int:
        """The position where the end of `text` begins a marker; if `surely`, a third of a tag or more."""
        start = self.safe(text, at)
        begun = text[start:]
        sure = begun[:1] in ("<", "[", "]") and any(
            one.startswith(begun) and 3 * len(begun) >= len(one) for one in self._texts
        )
        return start if sure or not surely else len(text)


@lru_cache(maxsize=256)
def markers(*texts: str) -> Markers | None:
    """The markers; None for no texts."""
    return Markers(texts) if texts else None
