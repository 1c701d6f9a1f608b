"""Which tokens' KV lies where, and what of it a new prompt can share.

A sequence is running (its KV in a slot of the pool), or retained after its end: still in its slot, saved
outside the pool, or both. Cells that nobody decodes slow the others down, for attention looks at every
cell's mask, so retained sequences leave the pool as soon as another request needs it; a saved one comes
back by a memory copy, hundreds of times faster than evaluating it again.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from puna.engine.libllama import Context
from puna.engine.prefix_tree import PrefixTree
from puna.engine.sequence import NO_SLOT, Sequence

WORTH_SHARING = 32
"""Tokens that make a prefix worth waiting for, and worth the room or the copy of a longer sequence."""

_MOST_SAVED = 256

_REMEMBERED_LOGITS = 8
"""Retained sequences that keep their prompt's last logits: a repeat of the prompt then needs no evaluation
and draws from the same numbers, so that a seed gives the same text again."""


@dataclass(eq=False)
class Retained:
    """A finished sequence whose KV may serve later prompts."""

    key: int
    tokens: list[int]
    prompt_tokens: int
    prompt_logits: NDArray[np.float32] | None
    slot: int
    """NO_SLOT when it has left the pool."""
    saved: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Prefix:
    """The longest usable prefix of a prompt: who holds it, and how long it will be once prefilled."""

    holder: Sequence | Retained | None = None
    length: int = 0
    promised: int = 0
    """Tokens some running sequence will share once its own prefill got there, ≥ length."""


class PrefixCache:
    """Owns the context's memory: every change to what a slot holds goes through here."""

    def __init__(self, context: Context, *, slots: int, cuttable: bool, limit: int) -> None:
        """`limit`: bytes that saved sequences may take together."""
        self._context = context
        self._free = list(range(slots - 1, -1, -1))
        self._tree = PrefixTree()
        self._cuttable = cuttable
        self._limit = limit
        self._keys = itertools.count()
        self.running: dict[int, Sequence] = {}
        self._retained: OrderedDict[int, Retained] = OrderedDict()
        """Least recently used first."""

    def find(self, sequence: Sequence) -> Prefix:
        """The best prefix for a prompt; the last token, or the picture that ends it, is left to evaluate."""
        tokens = sequence.tokens
        longest = sequence.layout.whole(len(tokens) - 1)
        best, promised = Prefix(), 0
        for depth, keys in self._tree.matches(tokens):
            reach = min(depth, longest)
            for key in keys:
                holder = self.running.get(key) or self._retained[key]
                usable, planned = self._reach(holder, depth, reach)
                promised = max(promised, planned)
                if usable > best.length or (usable == best.length and _handier(holder, best.holder)):
                    best = Prefix(holder if usable else None, usable)
        return Prefix(best.holder, best.length, max(promised, best.length))

    def _reach(self, holder: Sequence | Retained, depth: int, reach: int) -> tuple[int, int]:
        """(tokens usable now, tokens usable once the holder's prompt is evaluated)"""
        if isinstance(holder, Retained):
            if not self._cuttable and not len(holder.tokens) == depth == reach:
                return 0, 0  # such memory can only go on from its end
            worth = reach >= WORTH_SHARING or 2 * reach >= len(holder.tokens)
            return (reach, reach) if worth else (0, 0)
        if not self._cuttable:
            return 0, 0
        usable = min(reach, holder.evaluated)
        return usable, reach if holder.pending > 1 else usable

    def repeat_of(self, tokens: list[int]) -> Retained | None:
        """A finished sequence with exactly this prompt and its logits still known."""
        if not self._cuttable:
            return None
        for kept in reversed(self._retained.values()):
            if (
                kept.prompt_logits is not None
                and kept.prompt_tokens == len(tokens)
                and kept.tokens[: kept.prompt_tokens] == tokens
            ):
                return kept
        return None

    def begin(self, sequence: Sequence, holder: Sequence | Retained | None, length: int) -> None:
        """Give `sequence` a slot that holds the first `length` tokens of `holder`.

        Afterwards sequence.evaluated says how many it really holds: a saved sequence may not fit.
        """
        if isinstance(holder, Retained) and length >= WORTH_SHARING:
            self._retained.move_to_end(holder.key)
        self._retire(holder)
        if isinstance(holder, Retained) and holder.slot != NO_SLOT and self._consumes(holder, length):
            sequence.slot = holder.slot
            self._forget(holder)
        else:
            if not self._free:
                self._leave_pool(next(kept for kept in self._in_pool() if kept is not holder), holder)
            sequence.slot = self._free.pop()
        own = holder is None or holder.slot in (NO_SLOT, sequence.slot)
        sequence.evaluated = length if self._fill(sequence, holder, length) else 0
        sequence.shared = 0 if own else sequence.evaluated
        sequence.key = next(self._keys)
        self.running[sequence.key] = sequence
        self._tree.insert(sequence.key, sequence.tokens)

    def _consumes(self, holder: Retained, length: int) -> bool:
        """Whether nothing of worth stays behind when `holder` is cut to `length`: only an earlier answer."""
        return length >= min(len(holder.tokens), holder.prompt_tokens - 1)

    def _fill(self, sequence: Sequence, holder: Sequence | Retained | None, length: int) -> bool:
        """Make a sequence's slot hold the first `length` tokens of `holder`; False if it then holds none."""
        if holder is None or not length:
            return False
        slot, positions = sequence.slot, sequence.layout.position(length)
        if holder.slot == NO_SLOT:
            assert isinstance(holder, Retained)
            assert holder.saved is not None
            if not self._context.restore(slot, holder.saved):
                return False
        elif holder.slot != slot:
            self._context.share(holder.slot, slot, positions)
        if self._cuttable:
            self._context.cut(slot, positions)
        return True

    def rewrite(self, sequence: Sequence, keep: int) -> None:
        """A running sequence's tokens have changed after the first `keep`: those are forgotten."""
        keep = keep if self._cuttable else 0
        self._context.cut(sequence.slot, sequence.layout.position(keep))
        sequence.evaluated = keep
        self._tree.insert(sequence.key, sequence.tokens)

    def end(self, sequence: Sequence) -> None:
        """Retain what a running sequence has evaluated."""
        del self.running[sequence.key]
        held = sequence.tokens[: sequence.evaluated]
        intact = len(held) >= sequence.prompt_tokens and not sequence.shifted
        logits = sequence.prompt_logits if intact else None
        kept = Retained(sequence.key, held, sequence.prompt_tokens, logits, sequence.slot)
        sequence.slot = NO_SLOT
        self._drop_covered(held)
        self._tree.insert(kept.key, held)
        self._retained[kept.key] = kept
        with_logits = [kept for kept in self._retained.values() if kept.prompt_logits is not None]
        for older in with_logits[:-_REMEMBERED_LOGITS]:
            older.prompt_logits = None

    def _drop_covered(self, tokens: list[int]) -> None:
        """Forget retained sequences that hold nothing that `tokens` does not: a chat's earlier turns."""
        if not self._cuttable:
            return
        for other in list(self._retained.values()):
            if tokens[: len(other.tokens)] == other.tokens:
                if other.slot != NO_SLOT:
                    self._release(other)
                self._forget(other)

    def discard(self, sequence: Sequence) -> None:
        """Forget a running sequence with all it has evaluated."""
        del self.running[sequence.key]
        self._tree.remove(sequence.key)
        self._release(sequence)

    def save_one(self) -> bool:
        """Save one retained sequence that is only in the pool, while nobody waits; False if there is none."""
        return any(kept.saved is None and self._save(kept) for kept in self._in_pool())

    def make_room(self) -> bool:
        """Send the least recently used retained sequence out of the pool; False if there is none."""
        kept = next(self._in_pool(), None)
        if kept is None:
            return False
        self._leave_pool(kept)
        return True

    def _retire(self, spare: Sequence | Retained | None) -> None:
        """Send retained sequences but `spare` out of the pool, as far as they can be kept outside."""
        for kept in list(self._in_pool()):
            if kept is not spare and (kept.saved is not None or self._save(kept, spare)):
                self._release(kept)

    def _leave_pool(self, kept: Retained, spare: Sequence | Retained | None = None) -> None:
        if kept.saved is None and not self._save(kept, spare):
            self._forget(kept)
        self._release(kept)

    def _save(self, kept: Retained, spare: Sequence | Retained | None = None) -> bool:
        """Copy a retained sequence out of the pool, dropping the oldest saved ones but `spare` for it."""
        size = self._context.saved_size(kept.slot)
        saved = [other for other in self._retained.values() if other.saved is not None]
        held = sum(other.saved.nbytes for other in saved if other.saved is not None)
        dropped: list[Retained] = []
        for other in saved:
            if held + size <= self._limit and len(saved) - len(dropped) < _MOST_SAVED:
                break
            if other is not spare and other.saved is not None:
                held -= other.saved.nbytes
                dropped.append(other)
        if held + size > self._limit:
            return False
        for other in dropped:
            other.saved = None
            if other.slot == NO_SLOT:
                self._forget(other)
        kept.saved = self._context.save(kept.slot, size)
        return True

    def _in_pool(self) -> Iterator[Retained]:
        return (kept for kept in self._retained.values() if kept.slot != NO_SLOT)

    def _forget(self, kept: Retained) -> None:
        del self._retained[kept.key]
        self._tree.remove(kept.key)

    def _release(self, held: Sequence | Retained) -> None:
        self._context.forget(held.slot)
        self._free.append(held.slot)
        held.slot = NO_SLOT


def _handier(holder: Sequence | Retained, other: Sequence | Retained | None) -> bool:
    """Of two with equal prefixes, a running one costs nothing and one in the pool no copy."""

    def cost(held: Sequence | Retained | None) -> int:
        if isinstance(held, Sequence):
            return 0
        return 3 if held is None else 2 if held.slot == NO_SLOT else 1

    return cost(holder) < cost(other)
