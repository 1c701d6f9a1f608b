"""Finds the sequences that share the first tokens of a prompt: running ones, and retained ones."""

from __future__ import annotations

import itertools
from array import array
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from puna.engine.memory import NO_SLOT, ContextMemory, SequenceMemory, owner_digest
from puna.engine.prefix_tree import PrefixTree
from puna.engine.sequence import Sequence

MIN_PREFIX = 32
"""Fewest tokens of a prefix that is worth waiting for, or worth copying a longer sequence."""

_READ_SPEEDUP = 32
"""Tokens that are read from a file in the time of evaluating one."""

_MOST_CANDIDATES = 32
"""Most retained sequences to compare that share the same number of tokens with a prompt."""


@dataclass(eq=False)
class Retained:
    """A finished sequence whose KV may serve later prompts."""

    key: int
    prompt_tokens: int
    prompt_logits: NDArray[np.float32] | None
    memory: SequenceMemory
    owner: str
    """A digest of the job's."""
    reading: bool = False
    """Its files are being read."""


@dataclass(frozen=True)
class Prefix:
    """The longest usable prefix of a prompt."""

    source: Sequence | Retained | None = None
    """The sequence to copy it from."""
    length: int = 0
    matched: int = 0
    """Tokens in common with some sequence, usable or not."""
    upcoming: int = 0
    """Tokens that will be usable once `producer` has evaluated them, ≥ length."""
    producer: Sequence | None = None


class PrefixIndex:
    """Finds running and retained sequences by their tokens. It moves nothing."""

    def __init__(self, context_memory: ContextMemory) -> None:
        self._context_memory = context_memory
        self._tree = PrefixTree()
        self._keys = itertools.count()
        self.running: dict[int, Sequence] = {}
        self.retained: OrderedDict[int, Retained] = OrderedDict()
        """Least recently used first."""

    @property
    def memories(self) -> list[SequenceMemory]:
        """The memory of each sequence."""
        return [each.memory for each in (*self.retained.values(), *self.running.values())]

    def next_key(self) -> int:
        return next(self._keys)

    def add_running(self, sequence: Sequence) -> None:
        sequence.key = self.next_key()
        self.running[sequence.key] = sequence
        self.update(sequence)

    def update(self, sequence: Sequence) -> None:
        """A running sequence's tokens have changed."""
        self._tree.insert(sequence.key, sequence.tokens, owner_digest(sequence.job.owner))

    def add_retained(self, retained: Retained, tokens: list[int] | array[int]) -> None:
        """Add a finished sequence as the most recently used."""
        self._tree.insert(retained.key, tokens, retained.owner)
        self.retained[retained.key] = retained

    def remove(self, sequence: Sequence | Retained) -> None:
        del (self.running if isinstance(sequence, Sequence) else self.retained)[sequence.key]
        self._tree.remove(sequence.key)

    def tokens(self, retained: Retained) -> bytes:
        """int32, one for each token."""
        return self._tree.tokens(retained.key)

    def prefixes_of(self, tokens: list[int] | array[int], owner: str) -> list[Retained]:
        """The owner's retained sequences that are prefixes of `tokens`."""
        return [self.retained[key] for key in self._tree.prefixes(tokens, owner) if key in self.retained]

    def find(self, sequence: Sequence) -> Prefix:
        """The best prefix for a prompt. It leaves the last token, or the picture at the end, to evaluate."""
        longest = sequence.layout.cut_before(len(sequence.tokens) - 1)
        source, length, most_saved, most_matched, upcoming, producer = None, 0, 0, 0, 0, None
        for depth, other in self._candidates(sequence):
            matched = min(depth, longest)
            most_matched = max(most_matched, matched)
            if matched < most_saved:
                break
            usable = self._usable(other, matched)
            saved = usable if other.memory.resident else usable - other.memory.length // _READ_SPEEDUP
            if saved > most_saved or (saved == most_saved and usable and _is_cheaper(other, source)):
                source, length, most_saved = other, usable, saved
            if isinstance(other, Sequence) and other.pending > 1 and matched > max(upcoming, other.evaluated):
                upcoming, producer = matched, other
        return Prefix(source, length, most_matched, max(upcoming, length), producer)

    def _candidates(self, sequence: Sequence) -> Iterator[tuple[int, Sequence | Retained]]:
        """Sequences that begin like this one, with the number of tokens that they share, most first.

        Thousands may begin alike. The latest of them are as good as any.
        """
        longer: set[int] = set()
        matches = self._tree.matches(sequence.tokens, owner_digest(sequence.job.owner))
        for depth, keys in reversed(list(matches)):
            there = keys - longer
            for key in sorted(there & self.running.keys()):
                yield depth, self.running[key]
            for key in sorted(there - self.running.keys())[-_MOST_CANDIDATES:]:
                yield depth, self.retained[key]
            longer = keys

    def _usable(self, source: Sequence | Retained, matched: int) -> int:
        """How many of the `matched` tokens a new sequence can take over from `source`."""
        usable = self._context_memory.usable(source.memory, matched)
        if isinstance(source, Retained) and usable < MIN_PREFIX and 2 * usable < source.memory.length:
            return 0
        return usable

    def repeat_of(self, sequence: Sequence) -> Retained | None:
        """A retained sequence with exactly this prompt, whose last logits are known."""
        length = len(sequence.tokens)
        matches = self._tree.matches(sequence.tokens, owner_digest(sequence.job.owner))
        depth, keys = max(matches, key=itemgetter(0), default=(0, set[int]()))
        if depth < length:
            return None
        for retained in (self.retained[key] for key in sorted(keys, reverse=True) if key in self.retained):
            if retained.prompt_tokens == length == self._context_memory.usable(retained.memory, length) and (
                retained.prompt_logits is not None or _logits_in_unread_file(retained.memory)
            ):
                return retained
        return None


def _logits_in_unread_file(memory: SequenceMemory) -> bool:
    """Whether the prompt's logits are in files that must be read anyway."""
    if memory.resident or not memory.on_disk:
        return False
    file = memory.segments[-1].file
    return file is not None and file.logits


def _is_cheaper(source: Sequence | Retained, other: Sequence | Retained | None) -> bool:
    """Whether the same prefix costs less from `source`.

    It is free from a running sequence. The pool, host memory and files follow.
    """

    def cost(source: Sequence | Retained | None) -> int:
        if isinstance(source, Sequence):
            return 0
        if source is None:
            return 4
        return 3 if not source.memory.resident else 2 if source.memory.slot == NO_SLOT else 1

    return cost(source) < cost(other)
