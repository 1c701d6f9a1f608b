"""Starts loads if there is room; otherwise evicts models."""

from __future__ import annotations

import logging
from collections.abc import Sequence, Set

from puna.errors import PunaError
from puna.scheduling.choice import Choice, choose, describe
from puna.scheduling.fleet import Fleet
from puna.scheduling.learned import DryRuns
from puna.scheduling.machine import Room, Watch
from puna.scheduling.memory import human_size
from puna.scheduling.placement import Machine
from puna.scheduling.plan import widen
from puna.scheduling.queue import LeaseRequest
from puna.scheduling.runner import Runner
from puna.settings import Settings

log = logging.getLogger(__name__)

_SLOWER = 1.05
"""A placement counts as slower if a token takes this many times as long."""


class Loads:
    """Starts loads on the machine that `watch` sees, and evicts models of `fleet` for them."""

    def __init__(self, settings: Settings, fleet: Fleet, watch: Watch, dry_runs: DryRuns) -> None:
        self._settings = settings
        self._fleet = fleet
        self._watch = watch
        self._dry_runs = dry_runs

    def begin(self, request: LeaseRequest) -> Set[Runner] | None:
        """Start the load for `request`.

        Returns None if it has started, otherwise the runners that must drain first. Raises PunaError if the
        model would not fit in an empty machine either.
        """
        if not self._watch.fresh(self._fleet.version):
            return frozenset()
        room = self._fleet.room(self._watch.seen.devices)
        now, best = self._choose(request, room.now), self._choose(request, room.alone)
        decisive = now if room.now.devices else best
        if not decisive.estimate_suffices(room.now) and not self._dry_runs.done(now.dry_run_spec):
            return frozenset()
        if now.fits and room.slots > 0:
            if self._evict_for_speed(request, room, now):
                return frozenset()
            self._load(request, now, request.keep_alive)
            return None
        if best.fits:
            return self._fleet.make_room(
                room, lambda after: after.slots > 0 and self._choose(request, after.now).fits
            )
        if request.wider is not None:
            request.wider = None
            return self.begin(request)
        raise no_place(best, room.alone)

    def replicate(self, request: LeaseRequest, replicas: Sequence[Runner]) -> bool:
        """Load one more of the `replicas`, on a device without one, and evict nothing.

        False if no such device has room for all of it. True if the load has started, or its size is being
        measured. Raises PunaError if the options do not suit the devices any more.
        """
        if not self._watch.fresh(self._fleet.version):
            return True
        occupied = {name for runner in replicas for name in runner.spec.placed.devices}
        room = self._fleet.room(self._watch.seen.devices)
        machine = room.now.without(occupied)
        options = widen(request.options, request.facts, self._settings, replicas[0].spec)
        choice = choose(request.facts, options, self._settings, machine, self._fleet.learned)
        if room.slots < 1 or not choice.fits_outside(occupied):
            return False
        if choice.estimate_suffices(machine) or self._dry_runs.done(choice.dry_run_spec):
            self._load(request, choice, replicas[0].keep_alive)
        return True

    def _evict_for_speed(self, request: LeaseRequest, room: Room, now: Choice) -> bool:
        """Evict idle models if this one is faster in their memory; whether any were."""
        if not room.now.devices:
            return False
        achievable = self._choose(request, self._fleet.without_idle(room).now).placement.seconds * _SLOWER
        if now.placement.seconds <= achievable:
            return False
        self._fleet.make_room(
            room, lambda after: self._choose(request, after.now).placement.seconds <= achievable, busy=False
        )
        return True

    def _load(self, request: LeaseRequest, choice: Choice, keep_alive: float) -> None:
        spec, devices = choice.spec, choice.devices()
        if request.options.num_ctx > spec.num_ctx:
            requested, trained = request.options.num_ctx, spec.num_ctx
            log.warning("requested context size too large for model: %d, trained on %d", requested, trained)
        if self._watch.seen.devices:
            log.info("placing %s: %s", request.model.name.display(), describe(spec.placed, devices))
        self._fleet.begin(Runner(request.model, spec, choice.host, devices, keep_alive))

    def _choose(self, request: LeaseRequest, machine: Machine) -> Choice:
        options = request.wider or request.options
        return choose(request.facts, options, self._settings, machine, self._fleet.learned)


def no_place(choice: Choice, machine: Machine) -> PunaError:
    """The error for a model that does not fit on `machine`."""
    needs, has = human_size(choice.host), human_size(machine.host)
    words = f"model requires more system memory ({needs}) than is available ({has})"
    if needed := choice.devices():
        free = sum(device.free for device in machine.devices)
        words = (
            f"model requires {human_size(sum(needed.values()))} of GPU memory ({human_size(free)} available)"
        )
        words += f" and {needs} of system memory ({has} available)"
    return PunaError(words)
