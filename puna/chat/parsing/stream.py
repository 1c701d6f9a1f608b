"""Runs a format's reading over an answer."""

from __future__ import annotations

from typing import Protocol

from .parts import Part
from .scanner import Scanner, Step
from .tagged import Expected


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

    def read(self, source: Scanner, expected: Expected) -> Step[None]:
        """Read an answer to its end."""
        ...


class FormatParser:
    """One answer being read: a `Parser`."""

    def __init__(self, format: Format, expected: Expected) -> None:
        self.source = Scanner()
        self.source.owing = expected.required
        self._reading = format.read(self.source, expected)
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
