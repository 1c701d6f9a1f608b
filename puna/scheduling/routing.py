"""Which replica of a model a request goes to: the one with the least work left, this request included.

A replica reuses the prefixes that it has read. So requests that begin alike go to the same one, until more
work waits there than that saves. Prompts are compared before they are rendered, by blocks of bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

Blocks = tuple[int, ...]
"""A prompt as hashes, one for each whole block. Each hash covers its block and all before it."""

BLOCK = 256
"""Bytes."""

ANSWER = 16
"""Blocks that an answer counts for, because its length is not known yet."""

_REMEMBERED = 1 << 14
"""Blocks of prompts remembered for each replica: 4 MiB of text."""


def blocks(prompt: bytes) -> Blocks:
    """The whole blocks of `prompt`."""
    found: list[int] = []
    before = 0
    for start in range(0, len(prompt) - BLOCK + 1, BLOCK):
        before = hash((before, prompt[start : start + BLOCK]))
        found.append(before)
    return tuple(found)


class Traffic:
    """The prompts that a replica has read, and its work under way."""

    def __init__(self) -> None:
        self._read: dict[int, None] = {}
        """In the order of their last use."""
        self._underway = 0

    def begin(self, prompt: Blocks) -> int:
        """Count this prompt; returns its work in blocks, to be passed to `end`."""
        work = self._unread(prompt) + ANSWER
        self._underway += work
        # From the end, so that beginnings, which other prompts share, are forgotten last.
        for block in reversed(prompt):
            self._read.pop(block, None)
            self._read[block] = None
        while len(self._read) > _REMEMBERED:
            del self._read[next(iter(self._read))]
        return work

    def end(self, work: int) -> None:
        """The answer to a prompt of this `work` has ended."""
        self._underway -= work

    def left(self, prompt: Blocks) -> int:
        """Blocks of work if it got this prompt: those under way, and those of the prompt not yet read."""
        return self._underway + self._unread(prompt)

    def _unread(self, prompt: Blocks) -> int:
        return len(prompt) - next(
            (at for at, block in enumerate(prompt) if block not in self._read), len(prompt)
        )


class Replica(Protocol):
    """One of several engines of the same model."""

    @property
    def traffic(self) -> Traffic: ...

    @property
    def full(self) -> bool:
        """One more request would have to wait."""
        ...

    @property
    def used(self) -> int:
        """Logical time of its last use."""
        ...


R = TypeVar("R", bound=Replica)


def best(prompt: Blocks, replicas: Iterable[R]) -> R:
    """The replica for `prompt`; among equals, the least recently used."""
    return min(replicas, key=lambda replica: (replica.full, replica.traffic.left(prompt), replica.used))
