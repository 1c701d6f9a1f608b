"""What the prefix cache knows of a finished sequence, and how such sequences compare."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from puna.engine.memory import NO_SLOT, Held, Snapshot
from puna.engine.sequence import Sequence


@dataclass(eq=False)
class Retained:
    """A finished sequence that may serve later prompts."""

    key: int
    prompt_tokens: int
    prompt_logits: NDArray[np.float32] | None
    held: Held
    owner: str
    """A digest of the job's."""
    reading: bool = False
    """It is on its way from its files."""


@dataclass(frozen=True)
class Prefix:
    """The longest usable prefix of a prompt: who holds it, and how long it will be once prefilled."""

    holder: Sequence | Retained | None = None
    length: int = 0
    known: int = 0
    """Tokens that it has in common with some sequence, whether they can be used or not."""
    promised: int = 0
    """Tokens that will be usable once the `promiser` has evaluated them, ≥ length."""
    promiser: Sequence | None = None


def bytes_outside(all_held: list[Held]) -> int:
    """What they take outside the pool; what several share counts once."""
    copies = (copy for held in all_held for copy in (*held.segments, *held.snapshots))
    return sum({id(copy.data): copy.data.nbytes for copy in copies}.values())


def cheapest(snapshots: list[Snapshot]) -> int:
    """The one whose loss costs least: the gap that it leaves is small beside its distance from the end."""
    end = snapshots[-1].length

    def loss(place: int) -> float:
        before = snapshots[place - 1].length if place else 0
        return (snapshots[place + 1].length - before) / (end - before)

    return min(range(len(snapshots) - 1), key=loss)


def handier(holder: Sequence | Retained, other: Sequence | Retained | None) -> bool:
    """Of two with equal prefixes, a running one costs nothing, one in the pool no copy, one in memory no
    reading."""

    def cost(one: Sequence | Retained | None) -> int:
        if isinstance(one, Sequence):
            return 0
        if one is None:
            return 4
        return 3 if not one.held.at_hand else 2 if one.held.slot == NO_SLOT else 1

    return cost(holder) < cost(other)
