"""Which replica of a model a request goes to: the one that has least left to do for it.

What a replica has read is cheap to read again, so requests that begin alike go to the same one, until more
work waits there than that saves. Prompts are compared before they are rendered, by blocks of bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

Blocks = tuple[int, ...]
"""A prompt, as one hash for each whole block of it. A hash stands for its block and all before it."""

BLOCK = 256
"""Bytes."""

ANSWER = 16
"""Blocks that an answer counts for: how long it will be is not known."""

_REMEMBERED = 1 << 14
"""Blocks of prompts that are known of a replica: 4 MiB of text."""


def blocks(prompt: bytes) -> Blocks:
    """The whole blocks of `prompt`."""
    found: list[int] = []
    before = 0
    for start in range(0, len(prompt) - BLOCK + 1, BLOCK):
        before = hash((before, prompt[start : start + BLOCK]))
        found.append(before)
    return tuple(found)


class Traffic:
    """What a replica has read, and what it is at work on."""

    def __init__(self) -> None:
        self._read: dict[int, None] = {}
        """In the order of their last use."""
        self._underway = 0

    def begin(self, prompt: Blocks) -> int:
        """It gets this prompt; the blocks of work that this is, which are given back at its `end`."""
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
        """The answer to a prompt that was so much work has ended."""
        self._underway -= work

    def left(self, prompt: Blocks) -> int:
        """Blocks of work with this prompt: what is under way, and what of the prompt has not been read."""
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
        """A further request would wait there for another one's end."""
        ...

    @property
    def used(self) -> int:
        """Logical time of its last use."""
        ...


R = TypeVar("R", bound=Replica)


def best(prompt: Blocks, replicas: Iterable[R]) -> R:
    """Where `prompt` is to go; of equals to the one that rested longest."""
    return min(replicas, key=lambda replica: (replica.full, replica.traffic.left(prompt), replica.used))
