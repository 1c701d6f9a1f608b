"""Chooses the replica of a model for a request: the one with the least work left, this request included.

A replica reuses the prefixes of its earlier prompts. So requests with a common prefix go to the same replica,
until more work waits there than the prefix saves. Prompts are compared by blocks of bytes, before rendering.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

Blocks = tuple[int, ...]
"""A hash for each whole block of a prompt. It covers that block and all before it."""

BLOCK = 256
"""Bytes."""

ANSWER = 16
"""Work of an answer in blocks, because its length is not known yet."""

_REMEMBERED = 1 << 14
"""Blocks of prompts remembered for each replica: 4 MiB of text."""


def blocks(prompt: bytes) -> Blocks:
    """The hashes of the whole blocks of `prompt`."""
    hashes: list[int] = []
    previous = 0
    for start in range(0, len(prompt) - BLOCK + 1, BLOCK):
        previous = hash((previous, prompt[start : start + BLOCK]))
        hashes.append(previous)
    return tuple(hashes)


class Traffic:
    """The prompts that a replica has evaluated, and its running work."""

    def __init__(self) -> None:
        self._known: dict[int, None] = {}
        """In the order of their last use."""
        self._running = 0

    def begin(self, prompt: Blocks) -> int:
        """Count this prompt; returns its work in blocks, to be passed to `end`."""
        work = self._new_blocks(prompt) + ANSWER
        self._running += work
        # From the end, so that the first blocks, which other prompts share, are dropped last.
        for block in reversed(prompt):
            self._known.pop(block, None)
            self._known[block] = None
        while len(self._known) > _REMEMBERED:
            del self._known[next(iter(self._known))]
        return work

    def end(self, work: int) -> None:
        """The answer to a prompt of this `work` has ended."""
        self._running -= work

    def work_with(self, prompt: Blocks) -> int:
        """Blocks of work with this prompt: the running ones, and the prompt's new ones."""
        return self._running + self._new_blocks(prompt)

    def _new_blocks(self, prompt: Blocks) -> int:
        return len(prompt) - next(
            (at for at, block in enumerate(prompt) if block not in self._known), len(prompt)
        )


class Replica(Protocol):
    """One of several engines of the same model."""

    @property
    def traffic(self) -> Traffic: ...

    @property
    def full(self) -> bool:
        """Whether another request would have to wait."""
        ...

    @property
    def used(self) -> int:
        """Logical time of its last use."""
        ...


R = TypeVar("R", bound=Replica)


def choose_replica(prompt: Blocks, replicas: Iterable[R]) -> R:
    """The replica for `prompt`; among equals, the least recently used."""
    return min(replicas, key=lambda replica: (replica.full, replica.traffic.work_with(prompt), replica.used))
