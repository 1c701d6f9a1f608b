"""The requests that wait for a model, in the order of service."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from puna.engine import order
from puna.errors import PunaError
from puna.options import Options
from puna.scheduling.facts import Facts, RunnerKey
from puna.scheduling.routing import Blocks
from puna.scheduling.runner import Runner
from puna.types import Turn

if TYPE_CHECKING:
    from puna.library import Model


@dataclass(eq=False)
class LeaseRequest:
    """A request for a lease."""

    model: Model
    facts: Facts
    options: Options
    keep_alive: float
    turn: Turn
    granted: asyncio.Future[Runner]
    """Resolves to a runner that already counts this lease."""
    prompt: Blocks = ()
    """Its prompt's blocks, for routing among replicas."""
    work: int = 0
    """Its work at its replica, in blocks."""
    wider: Options | None = None
    """Options for its load, if the loaded model was too small."""


class Queue:
    """Users take turns: the one with the fewest running requests is next."""

    def __init__(self) -> None:
        self._waiting: list[LeaseRequest] = []
        self._leased: list[Turn] = []
        """Of each lease."""

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, request: LeaseRequest) -> None:
        self._waiting.append(request)

    def leave(self, request: LeaseRequest) -> bool:
        """Remove `request`; whether it was waiting."""
        if request not in self._waiting:
            return False
        self._waiting.remove(request)
        return True

    def in_order(self) -> list[LeaseRequest]:
        """The waiting requests in the order of service, without those that are cancelled."""
        places = order([request.turn for request in self._waiting], self._leased)
        return [self._waiting[at] for at in places if not self._waiting[at].granted.done()]

    def add_lease(self, request: LeaseRequest) -> None:
        """It has got a lease."""
        self._leased.append(request.turn)

    def end_lease(self, request: LeaseRequest) -> None:
        self._leased.remove(request.turn)

    def refuse(self, request: LeaseRequest, error: PunaError) -> None:
        self._waiting.remove(request)
        if not request.granted.done():
            request.granted.set_exception(error)

    def refuse_all(self, error: PunaError, key: RunnerKey | None = None) -> None:
        """Refuse all requests, or those for the model with this key."""
        for request in [r for r in self._waiting if key in (None, r.facts.key)]:
            self.refuse(request, error)
