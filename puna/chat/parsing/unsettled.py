"""Text that was read but is not settled: it becomes a call, is dropped, or is given back as text."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from .parts import Called, Content, Part, Thought

PartKind = type[Content] | type[Thought] | None
"""The kind of a stretch of text; None is hidden."""


class Unsettled:
    """The taken text, and the parts that are settled."""

    def __init__(self) -> None:
        self.ended = False
        self.cut = False
        """The answer was ended from outside: more text would have come."""
        self.certain = False
        """The text being read is a call, complete or not."""
        self.owing = False
        """The answer must be a call."""
        self.calls = 0
        self._held: list[str] = []
        self._parts: list[Part] = []
        self._kind: PartKind = None
        self._before = ""
        """White space before the marker that ended text of `_kind`, while it is held."""
        self._behind = ""
        """White space after notation, not yet followed by text."""
        self._gaps: dict[PartKind, str] = {}
        """For each kind of earlier text, the white space between it and more of its kind."""

    def parts(self) -> list[Part]:
        """The parts since the last call, with neighbouring text merged."""
        found, self._parts = self._parts, []
        merged: list[Part] = []
        run: list[str] = []
        for part, following in zip_longest(found, found[1:]):
            if isinstance(part, Called):
                merged.append(part)
                continue
            run.append(part.text)
            if type(following) is not type(part):
                merged.append(type(part)("".join(run)))
                run.clear()
        return merged

    def emit(self, kind: PartKind, text: str) -> None:
        """Emit text. White space around notation before it separates it from earlier text of its kind."""
        if not text:
            return
        if kind is not None:
            gap = _wider(self._gaps[kind], self._behind) if kind in self._gaps else ""
            self._gaps[kind] = ""
            self._parts.append(kind(gap + text))
        self._behind = ""

    def called(self, name: str, arguments: dict[str, Any]) -> None:
        """The held text was this call."""
        self._parts.append(Called(name, arguments))
        self.calls += 1
        self.drop()

    def drop(self) -> None:
        """Drop the held text: it was notation."""
        self._held.clear()
        if self._kind in self._gaps:
            self._gaps[self._kind] = _wider(self._gaps[self._kind], self._before)
        self._before = ""

    def drop_blank(self) -> None:
        """Drop the held text and the white space after it."""
        held = "".join(self._held)
        self.drop()
        self._behind = _wider(self._behind, held[len(held.rstrip()) :])

    def drop_last(self) -> None:
        """Drop the text taken last: it was notation."""
        self._held.pop()
        self._before = ""

    def give_back(self, kind: PartKind) -> None:
        """Give the held text back as text."""
        self.emit(kind, "".join(self._held))
        self._held.clear()
        self._before = ""

    @property
    def holding(self) -> bool:
        """Whether unsettled text is held."""
        return bool(self._held)

    @property
    def mark(self) -> int:
        """A position in the held text."""
        return len(self._held)

    def between(self, begin: int, end: int) -> str:
        """The held text between two marks."""
        return "".join(self._held[begin:end])

    def give_back_before(self, kind: PartKind) -> None:
        """Give the held text back as text, except the text taken last."""
        last = self._held.pop()
        self.give_back(kind)
        self._held.append(last)

    @property
    def lost(self) -> bool:
        """Whether a call has begun that the cut leaves incomplete."""
        return self.ended and self.cut and (self.certain or self.owing)


def _wider(one: str, other: str) -> str:
    """The wider of two white spaces."""
    return max(one, other, key=lambda space: (space.count("\n"), len(space)))
