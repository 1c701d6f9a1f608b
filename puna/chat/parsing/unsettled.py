"""What was read and is not settled: it is emitted as a call, dropped, or given back as the text it was."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from .parts import Called, Content, Part, Thought

PartKind = type[Content] | type[Thought] | None
"""What a stretch of text is; None is what nobody shall see."""


class Unsettled:
    """Text that was taken, and the parts that came of what was settled."""

    def __init__(self) -> None:
        self.ended = False
        self.cut = False
        """The answer was ended from outside: what it lacks would have come."""
        self.certain = False
        """What is being read is a call, complete or not."""
        self.owing = False
        """The answer must be a call."""
        self.calls = 0
        self._held: list[str] = []
        self._parts: list[Part] = []
        self._kind: PartKind = None
        self._before = ""
        """White space before the marker that ended text of `_kind`, while that is held."""
        self._behind = ""
        """White space behind notation that no text has followed yet."""
        self._gaps: dict[PartKind, str] = {}
        """For each kind of text there was: the white space between it and more of its kind."""

    def parts(self) -> list[Part]:
        """The parts since the last time, neighbouring text in one."""
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
        """Text; it stands apart from what there was of its kind as it did around the notation in between."""
        if not text:
            return
        if kind is not None:
            gap = _wider(self._gaps[kind], self._behind) if kind in self._gaps else ""
            self._gaps[kind] = ""
            self._parts.append(kind(gap + text))
        self._behind = ""

    def called(self, name: str, arguments: dict[str, Any]) -> None:
        """What is held was this call."""
        self._parts.append(Called(name, arguments))
        self.calls += 1
        self.drop()

    def drop(self) -> None:
        """What is held was notation."""
        self._held.clear()
        if self._kind in self._gaps:
            self._gaps[self._kind] = _wider(self._gaps[self._kind], self._before)
        self._before = ""

    def drop_blank(self) -> None:
        """What is held was notation and the white space behind it."""
        held = "".join(self._held)
        self.drop()
        self._behind = _wider(self._behind, held[len(held.rstrip()) :])

    def drop_last(self) -> None:
        """What was taken last was notation."""
        self._held.pop()
        self._before = ""

    def give_back(self, kind: PartKind) -> None:
        """What is held was no notation but text."""
        self.emit(kind, "".join(self._held))
        self._held.clear()
        self._before = ""

    @property
    def holding(self) -> bool:
        """Something was read that is not settled."""
        return bool(self._held)

    @property
    def mark(self) -> int:
        """A place in what is held."""
        return len(self._held)

    def between(self, begin: int, end: int) -> str:
        """What is held between two marks."""
        return "".join(self._held[begin:end])

    def give_back_before(self, kind: PartKind) -> None:
        """What is held is text, but for what was taken last."""
        last = self._held.pop()
        self.give_back(kind)
        self._held.append(last)

    @property
    def lost(self) -> bool:
        """A call has begun that the cut leaves without its end."""
        return self.ended and self.cut and (self.certain or self.owing)


def _wider(one: str, other: str) -> str:
    """The white space that sets text further apart."""
    return max(one, other, key=lambda space: (space.count("\n"), len(space)))
