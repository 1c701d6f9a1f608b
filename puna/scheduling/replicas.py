"""Further engines of a model that is to have several: begun where there is room, while the first answers."""

from __future__ import annotations

import logging

from puna.errors import LoadFailed, PunaError
from puna.scheduling.facts import RunnerKey
from puna.scheduling.fleet import Fleet
from puna.scheduling.loads import Loads
from puna.scheduling.queue import LeaseRequest
from puna.scheduling.runner import Runner

_log = logging.getLogger(__name__)


class Replicas:
    """Adds engines of models in `fleet`, as many as their requests ask for."""

    def __init__(self, fleet: Fleet, loads: Loads) -> None:
        self._fleet = fleet
        self._loads = loads
        self._wanted: dict[RunnerKey, LeaseRequest] = {}
        self._complete: dict[RunnerKey, int] = {}
        """Version of the fleet at which a model could have no more; another version allows another try."""

    def want(self, request: LeaseRequest) -> None:
        """A request whose model is loaded is about to be served."""
        key = request.facts.key
        if request.options.replicas > len(self._fleet.replicas(key)):
            self._wanted[key] = request

    def advance(self) -> None:
        """Begin what there is room for."""
        for key, request in list(self._wanted.items()):
            if not self._begin_more(request):
                del self._wanted[key]

    def failed(self, key: RunnerKey, error: LoadFailed) -> None:
        """A further engine could not be loaded; the others serve."""
        _log.warning("%s has no further replica: %s", key[0], error)
        self._complete[key] = self._fleet.version

    def _begin_more(self, request: LeaseRequest) -> bool:
        """Whether to go on later, when the room on devices is known."""
        key = request.facts.key
        while 0 < len(there := self._fleet.replicas(key)) < request.options.replicas:
            if self._complete.get(key) == self._fleet.version:
                return False
            if not self._begun(request, there):
                self._complete[key] = self._fleet.version
                return False
            if len(there) == len(self._fleet.replicas(key)):
                return True
        return False

    def _begun(self, request: LeaseRequest, there: list[Runner]) -> bool:
        try:
            return self._loads.replicate(request, there)
        except PunaError as error:
            _log.warning("%s has no further replica: %s", request.facts.path, error)
            return False
