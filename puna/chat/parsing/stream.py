"""Runs a format on a streamed answer."""

from __future__ import annotations

from typing import Protocol

from .parts import Part
from .scanner import Scanner, Step
from .tagged import Expected


class Format(Protocol):
    """A family's answer format; immutable."""

    @property
    def special(self) -> frozenset[str]:
        """Control tokens that the parser needs in the text."""
        ...

    @property
    def reasoning(self) -> str:
        """The tag that begins reasoning; empty for none."""
        ...

    def read(self, source: Scanner, expected: Expected) -> Step[None]:
        """Parse an answer to its end."""
        ...


class Parser:
    """Parses one answer. Chunking affects only where the parts' text is split."""

    def __init__(self, format: Format, expected: Expected) -> None:
        self.source = Scanner()
        self.source.must_call = expected.required
        self._reading = format.read(self.source, expected)
        next(self._reading)

    def feed(self, text: str) -> list[Part]:
        """The parts that `text` completes. Never raises."""
        if not text:
            return []
        self.source.push(text)
        next(self._reading)
        return self.source.parts()

    def finish(self, *, cut: bool = False) -> list[Part]:
        """The parts that were still pending at the answer's end.

        An incomplete call becomes text. If the answer was `cut` (by a limit or a stop string), it is dropped,
        because it would have become a call.
        """
        self.source.ended, self.source.cut = True, cut
        for _ in self._reading:
            pass
        return self.source.parts()
