"""Runs a format's reading over an answer."""

from __future__ import annotations

from typing import Protocol

from .parts import Part
from .source import Source, Step
from .tagged import Asked


class Format(Protocol):
    """How a family's models write; immutable."""

    @property
    def special(self) -> frozenset[str]:
        """Control tokens that must be written out for the format to be seen."""
        ...

    @property
    def reasoning(self) -> str:
        """What begins reasoning; empty when nothing does."""
        ...

    def read(self, source: Source, asked: Asked) -> Step[None]:
        """Read an answer to its end."""
        ...


class Stream:
    """One answer being read: a `Parser`."""

    def __init__(self, format: Format, asked: Asked) -> None:
        self.source = Source()
        self.source.owing = asked.required
        self._reading = format.read(self.source, asked)
        next(self._reading)

    def feed(self, text: str) -> list[Part]:
        if not text:
            return []
        self.source.push(text)
        next(self._reading)
        return self.source.parts()

    def finish(self, *, cut: bool = False) -> list[Part]:
        self.source.ended, self.source.cut = True, cut
        for _ in self._reading:
            pass
        return self.source.parts()
