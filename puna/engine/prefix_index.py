"""Which sequences hold the first tokens of a prompt: the running ones, and those retained after their end."""

from __future__ import annotations

import itertools
from array import array
from collections import OrderedDict
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from puna.engine.memory import NO_SLOT, ContextMemory, SequenceMemory, owner_digest
from puna.engine.prefix_tree import PrefixTree
from puna.engine.sequence import Sequence

WORTH_SHARING = 32
"""Fewest tokens of a prefix that is worth waiting for, or worth copying a longer sequence."""

_READING = 32
"""Tokens that are read from a file in the time that evaluating one takes."""


@dataclass(eq=False)
class Retained:
    """A finished sequence that may serve later prompts."""

    key: int
    prompt_tokens: int
    prompt_logits: NDArray[np.float32] | None
    held: SequenceMemory
    owner: str
    """A digest of the job's."""
    reading: bool = False
    """Its files are being read."""


@dataclass(frozen=True)
class Prefix:
    """The longest usable prefix of a prompt: who holds it, and how long it will be once prefilled."""

    holder: Sequence | Retained | None = None
    length: int = 0
    known: int = 0
    """Tokens in common with some sequence, usable or not."""
    promised: int = 0
    """Tokens that will be usable once the `promiser` has evaluated them, ≥ length."""
    promiser: Sequence | None = None


class PrefixIndex:
    """Finds sequences in memory or in files by their tokens. It moves nothing."""

    def __init__(self, memory: ContextMemory) -> None:
        self._memory = memory
        self._tree = PrefixTree()
        self._keys = itertools.count()
        self.running: dict[int, Sequence] = {}
        self.retained: OrderedDict[int, Retained] = OrderedDict()
        """Least recently used first."""

    @property
    def memories(self) -> list[SequenceMemory]:
        """What each sequence holds."""
        return [one.held for one in (*self.retained.values(), *self.running.values())]

    def next_key(self) -> int:
        return next(self._keys)

    def run(self, sequence: Sequence) -> None:
        """Add a running sequence."""
        sequence.key = self.next_key()
        self.running[sequence.key] = sequence
        self.update(sequence)

    def update(self, sequence: Sequence) -> None:
        """A running sequence's tokens have changed."""
        self._tree.insert(sequence.key, sequence.tokens, owner_digest(sequence.job.owner))

    def retain(self, kept: Retained, tokens: list[int] | array[int]) -> None:
        """Add a finished sequence as the most recently used."""
        self._tree.insert(kept.key, tokens, kept.owner)
        self.retained[kept.key] = kept

    def forget(self, one: Sequence | Retained) -> None:
        del (self.running if isinstance(one, Sequence) else self.retained)[one.key]
        self._tree.remove(one.key)

    def tokens(self, kept: Retained) -> bytes:
        """int32, one for each token."""
        return self._tree.tokens(kept.key)

    def covered(self, kept: Retained, tokens: list[int] | array[int]) -> list[Retained]:
        """Retained sequences whose tokens are the first of `tokens`, which `kept` has."""
        return [
            self.retained[key]
            for depth, keys in self._tree.matches(tokens, kept.owner)
            for key in keys
            if key in self.retained and self.retained[key].held.length <= depth
        ]

    def find(self, sequence: Sequence) -> Prefix:
        """The best prefix for a prompt; the last token, or the picture that ends it, is left to evaluate."""
        tokens = sequence.tokens
        longest = sequence.layout.whole(len(tokens) - 1)
        holder, length, most, known, promised, promiser = None, 0, 0, 0, 0, None
        for depth, keys in self._tree.matches(tokens, owner_digest(sequence.job.owner)):
            known = min(depth, longest)
            for key in keys:
                one = self.running.get(key) or self.retained[key]
                usable = self._usable(one, known)
                saves = usable if one.held.at_hand else usable - one.held.length // _READING
                if saves > most or (saves == most and usable and _handier(one, holder)):
                    holder, length, most = one, usable, saves
                if isinstance(one, Sequence) and one.pending > 1 and known > max(promised, one.evaluated):
                    promised, promiser = known, one
        return Prefix(holder, length, known, max(promised, length), promiser)

    def _usable(self, holder: Sequence | Retained, known: int) -> int:
        """How many of the `known` tokens in common with a prompt a holder can provide."""
        usable = self._memory.reach(holder.held, known)
        if isinstance(holder, Retained) and usable < WORTH_SHARING and 2 * usable < holder.held.length:
            return 0
        return usable

    def repeat_of(self, sequence: Sequence) -> Retained | None:
        """A finished sequence with exactly this prompt and its logits still known."""
        length = len(sequence.tokens)
        matches = self._tree.matches(sequence.tokens, owner_digest(sequence.job.owner))
        depth, keys = max(matches, key=itemgetter(0), default=(0, set[int]()))
        if depth < length:
            return None
        for kept in (self.retained[key] for key in sorted(keys, reverse=True) if key in self.retained):
            if kept.prompt_tokens == length == self._memory.reach(kept.held, length) and (
                kept.prompt_logits is not None or self._logits_on_disk(kept)
            ):
                return kept
        return None

    def _logits_on_disk(self, kept: Retained) -> bool:
        """Whether the logits are in files that must be read anyway."""
        held = kept.held
        return not held.at_hand and held.on_disk and any(s.file and s.file.logits for s in held.segments[-1:])


def _handier(holder: Sequence | Retained, other: Sequence | Retained | None) -> bool:
    """Ranks holders of equal prefixes: a running one is free, then one in the pool (no copy), then one in
    memory (no reading)."""

    def cost(one: Sequence | Retained | None) -> int:
        if isinstance(one, Sequence):
            return 0
        if one is None:
            return 4
        return 3 if not one.held.at_hand else 2 if one.held.slot == NO_SLOT else 1

    return cost(holder) < cost(other)
