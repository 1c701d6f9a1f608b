"""The tree of a regular expression, over sets of characters.

Code points are ranges, sorted and apart where a function says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

LAST = 0x10FFFF
Range = tuple[int, int]
"""Ranges of code points, both ends included."""

DIGIT: tuple[Range, ...] = ((0x30, 0x39),)
WORD: tuple[Range, ...] = ((0x30, 0x39), (0x41, 0x5A), (0x5F, 0x5F), (0x61, 0x7A))
SPACE: tuple[Range, ...] = (
    *((0x09, 0x0D), (0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A)),
    *((0x2028, 0x2029), (0x202F, 0x202F), (0x205F, 0x205F), (0x3000, 0x3000), (0xFEFF, 0xFEFF)),
)
LINE_END: tuple[Range, ...] = ((0x0A, 0x0A), (0x0D, 0x0D), (0x2028, 0x2029))


class InvalidPattern(ValueError):
    """The text is not a regular expression."""


class Unsupported(ValueError):
    """The expression is valid, but no regular language, or not supported here."""


@dataclass(frozen=True)
class Chars:
    """One character of a set. `properties` are Unicode properties as `\\p{…}` or `\\P{…}`."""

    ranges: tuple[Range, ...] = ()
    properties: tuple[str, ...] = ()
    negated: bool = False


@dataclass(frozen=True)
class Anchor:
    """The beginning or the end of the text."""

    at: Literal["^", "$"]


@dataclass(frozen=True)
class Look:
    """A lookahead, or a lookbehind if `behind`; `source` is its body as written."""

    body: Disjunction
    negative: bool
    source: str
    behind: bool = False


@dataclass(frozen=True)
class Side:
    """The characters allowed beside a position, and the text's edge if `edge`."""

    chars: tuple[Range, ...]
    edge: bool


@dataclass(frozen=True)
class Near:
    """A condition on both sides of a position: one of `options`; None allows anything."""

    options: tuple[tuple[Side | None, Side | None], ...]


@dataclass(frozen=True)
class Repeat:
    """`body` from `least` to `most` times; without end if `most` is None."""

    body: Term
    least: int
    most: int | None


@dataclass(frozen=True)
class Disjunction:
    """Each a sequence of items."""

    options: tuple[tuple[Term, ...], ...]


Term = Chars | Anchor | Look | Near | Repeat | Disjunction


def merge_ranges(ranges: list[Range] | tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges sorted, without overlaps."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return tuple(found)


def complement(ranges: tuple[Range, ...]) -> tuple[Range, ...]:
    """All other characters."""
    found: list[Range] = []
    start = 0
    for first, last in merge_ranges(ranges):
        if first > start:
            found.append((start, first - 1))
        start = last + 1
    return (*found, (start, LAST)) if start <= LAST else tuple(found)
