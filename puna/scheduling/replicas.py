"""Loads further engines of a model if there is room, while the first one answers."""

from __future__ import annotations

import logging

from puna.errors import LoadFailed, PunaError
from puna.scheduling.facts import RunnerKey
from puna.scheduling.fleet import Fleet
from puna.scheduling.loads import Loads
from puna.scheduling.queue import LeaseRequest

_log = logging.getLogger(__name__)


class Replicas:
    """Loads as many engines of a model as its requests ask for."""

    def __init__(self, fleet: Fleet, loads: Loads) -> None:
        self._fleet = fleet
        self._loads = loads
        self._requests: dict[RunnerKey, LeaseRequest] = {}
        self._complete: dict[RunnerKey, int] = {}
        """Version of the fleet at which a model had no room for more. Another version allows another try."""

    def want(self, request: LeaseRequest) -> None:
        """Note how many replicas a request for a loaded model wants."""
        key = request.facts.key
        if request.options.replicas > len(self._fleet.replicas(key)):
            self._requests[key] = request

    def advance(self) -> None:
        """Start the loads for which there is room."""
        for key, request in list(self._requests.items()):
            if not self._load_more(request):
                del self._requests[key]

    def give_up(self, key: RunnerKey, error: LoadFailed) -> None:
        """A further engine could not be loaded. The others go on."""
        _log.warning("%s has no further replica: %s", key[0], error)
        self._complete[key] = self._fleet.version

    def _load_more(self, request: LeaseRequest) -> bool:
        """Load what fits; whether to try again once the devices' memory is known."""
        key = request.facts.key
        while 0 < len(replicas := self._fleet.replicas(key)) < request.options.replicas:
            if self._complete.get(key) == self._fleet.version:
                return False
            try:
                has_room = self._loads.replicate(request, replicas)
            except PunaError as error:
                _log.warning("%s has no further replica: %s", request.facts.path, error)
                has_room = False
            if not has_room:
                self._complete[key] = self._fleet.version
                return False
            if len(replicas) == len(self._fleet.replicas(key)):
                return True
        return False
