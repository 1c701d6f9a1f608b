"""Text that was taken but whose kind is unknown: it becomes a call, is dropped, or is emitted as text."""

from __future__ import annotations

from itertools import zip_longest
from typing import Any

from .parts import Called, Content, Part, Thought

PartKind = type[Content] | type[Thought] | None
"""The kind of a piece of text; None for text that is not shown."""


class PendingText:
    """The pending text, and the completed parts."""

    def __init__(self) -> None:
        self.ended = False
        self.cut = False
        """The answer was cut by a limit or a stop string."""
        self.certain = False
        """The current text is a call, complete or not."""
        self.must_call = False
        """The answer must be a call."""
        self.calls = 0
        self._pending: list[str] = []
        self._parts: list[Part] = []
        self._kind: PartKind = None
        self._space_before_marker = ""
        """White space before the marker that ended text of `_kind`, while it is pending."""
        self._space_after_notation = ""
        """White space after notation, until text follows."""
        self._gaps: dict[PartKind, str] = {}
        """For each kind of earlier text, the white space before more text of its kind."""

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
        """Emit text, separated from earlier text of its kind by the white space around notation."""
        if not text:
            return
        if kind is not None:
            gap = _wider(self._gaps[kind], self._space_after_notation) if kind in self._gaps else ""
            self._gaps[kind] = ""
            self._parts.append(kind(gap + text))
        self._space_after_notation = ""

    def called(self, name: str, arguments: dict[str, Any]) -> None:
        """The pending text was this call."""
        self._parts.append(Called(name, arguments))
        self.calls += 1
        self.drop()

    def drop(self) -> None:
        """Drop the pending text, which was notation."""
        self._pending.clear()
        if self._kind in self._gaps:
            self._gaps[self._kind] = _wider(self._gaps[self._kind], self._space_before_marker)
        self._space_before_marker = ""

    def drop_blank(self) -> None:
        """Drop the pending text and the white space after it."""
        text = "".join(self._pending)
        self.drop()
        self._space_after_notation = _wider(self._space_after_notation, text[len(text.rstrip()) :])

    def drop_last(self) -> None:
        """Drop the text taken last, which was notation."""
        self._pending.pop()
        self._space_before_marker = ""

    def emit_pending(self, kind: PartKind) -> None:
        """Emit the pending text."""
        self.emit(kind, "".join(self._pending))
        self._pending.clear()
        self._space_before_marker = ""

    @property
    def has_pending(self) -> bool:
        """Whether there is pending text."""
        return bool(self._pending)

    @property
    def mark(self) -> int:
        """The current position in the pending text, for `between` and `rewind`."""
        return len(self._pending)

    def between(self, begin: int, end: int) -> str:
        """The pending text between two marks."""
        return "".join(self._pending[begin:end])

    def emit_before_last(self, kind: PartKind) -> None:
        """Emit the pending text, except the text taken last."""
        last = self._pending.pop()
        self.emit_pending(kind)
        self._pending.append(last)

    @property
    def cut_in_call(self) -> bool:
        """Whether the answer was cut within a call."""
        return self.ended and self.cut and (self.certain or self.must_call)


def _wider(one: str, other: str) -> str:
    """The wider of two white spaces."""
    return max(one, other, key=lambda space: (space.count("\n"), len(space)))
