"""Which slot (libllama sequence id) holds which tokens, and whose prefix a new prompt can share."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from puna.engine.prefix_tree import PrefixTree
from puna.engine.sequence import NO_SLOT, Sequence

_REMEMBERED_LOGITS = 8
"""Finished sequences that keep their prompt's last logits: a repeat of the prompt then needs no evaluation
and draws from the same numbers, so that a seed gives the same text again."""


@dataclass(eq=False)
class Retained:
    """A finished sequence whose KV stays until its room is needed."""

    slot: int
    tokens: list[int]
    prompt_tokens: int
    prompt_logits: NDArray[np.float32] | None


@dataclass(frozen=True)
class Prefix:
    """Where the longest usable prefix of a prompt lies, and how long it will be once prefilled."""

    slot: int = NO_SLOT
    length: int = 0
    promised: int = 0
    """Tokens some running sequence will share once its own prefill got there, ≥ length."""


class SlotCache:
    """Slots are free, running (a Sequence) or retained (least recently used first)."""

    def __init__(self, n_slots: int, *, cuttable: bool) -> None:
        self._free = list(range(n_slots - 1, -1, -1))
        self._tree = PrefixTree()
        self._cuttable = cuttable
        self.running: dict[int, Sequence] = {}
        self.retained: OrderedDict[int, Retained] = OrderedDict()

    def find(self, tokens: list[int]) -> Prefix:
        """The best prefix for a prompt; the last token is always left to evaluate."""
        longest = len(tokens) - 1
        best_slot, best_length, promised = NO_SLOT, 0, 0
        for depth, holders in self._tree.matches(tokens):
            reach = min(depth, longest)
            for slot in holders:
                usable, planned = self._reach(slot, depth, reach)
                if usable > best_length or (usable == best_length and slot in self.running):
                    best_slot, best_length = slot, usable
                promised = max(promised, planned)
        if not best_length:
            best_slot = NO_SLOT
        return Prefix(best_slot, best_length, max(promised, best_length))

    def _reach(self, slot: int, depth: int, reach: int) -> tuple[int, int]:
        sequence = self.running.get(slot)
        if not self._cuttable:
            # Such memory can only go on from its end, and only one request can.
            whole = sequence is None and len(self.retained[slot].tokens) == depth == reach
            return (reach, reach) if whole else (0, 0)
        if sequence is None:
            return min(reach, len(self.retained[slot].tokens)), reach
        usable = min(reach, sequence.evaluated)
        return usable, reach if sequence.pending > 1 else usable

    def repeat_of(self, tokens: list[int]) -> Retained | None:
        """A finished sequence with exactly this prompt and its logits still known."""
        for kept in reversed(self.retained.values()):
            if (
                kept.prompt_logits is not None
                and kept.prompt_tokens == len(tokens)
                and kept.tokens[: kept.prompt_tokens] == tokens
            ):
                return kept
        return None

    def open(self, sequence: Sequence) -> int | None:
        """Give `sequence` a free slot and let others see its prompt; None when all are taken."""
        if not self._free:
            return None
        sequence.slot = self._free.pop()
        self._run(sequence)
        return sequence.slot

    def take_over(self, sequence: Sequence, slot: int) -> None:
        """Give `sequence` a retained slot with all it holds."""
        del self.retained[slot]
        sequence.slot = slot
        self._run(sequence)

    def _run(self, sequence: Sequence) -> None:
        self.running[sequence.slot] = sequence
        self._tree.insert(sequence.slot, sequence.tokens)

    def retain(self, sequence: Sequence) -> None:
        """Keep a finished sequence's evaluated tokens for later prompts."""
        slot = sequence.slot
        del self.running[slot]
        held = sequence.tokens[: sequence.evaluated]
        intact = sequence.history[: len(held)] == held
        logits = sequence.prompt_logits if intact and len(held) >= sequence.prompt_tokens else None
        self._tree.insert(slot, held)
        self.retained[slot] = Retained(slot, held, sequence.prompt_tokens, logits)
        sequence.slot = NO_SLOT
        with_logits = [kept for kept in self.retained.values() if kept.prompt_logits is not None]
        for kept in with_logits[:-_REMEMBERED_LOGITS]:
            kept.prompt_logits = None

    def release(self, slot: int) -> None:
        """Make a slot free; the caller has made the pool forget it."""
        self.running.pop(slot, None)
        self.retained.pop(slot, None)
        self._tree.remove(slot)
        self._free.append(slot)

    def rewrite(self, sequence: Sequence) -> None:
        """A running sequence's tokens have changed: others must see the new ones."""
        self._tree.insert(sequence.slot, sequence.tokens)

    def touch(self, slot: int) -> None:
        """A retained slot was of use: it is the last to go."""
        if slot in self.retained:
            self.retained.move_to_end(slot)

    def oldest(self, *, spare: int = NO_SLOT) -> int | None:
        """The least recently used retained slot, other than `spare`."""
        return next((slot for slot in self.retained if slot != spare), None)
