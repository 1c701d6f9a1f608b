"""Who gets which model when: a queue whose users are served in turn.

Every event (a request, a lease given back, a load or close that ended) ends in `_advance`, which walks the
queue once and does all that can be done. Nothing waits on a condition or polls, and which runners drain is
derived anew on each walk, so a request that goes away leaves no trace.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from puna.engine import order
from puna.errors import Busy, DeviceFailed, EngineGone, LoadFailed, PunaError, Stopping
from puna.load import Devices, LoadSpec
from puna.options import Options
from puna.scheduling.choice import Choice, choose, described
from puna.scheduling.choice import check as check_options
from puna.scheduling.fleet import Fleet
from puna.scheduling.machine import Room, Watch
from puna.scheduling.memory import human_size
from puna.scheduling.pace import ServingPace
from puna.scheduling.placement import Machine
from puna.scheduling.plan import Facts, FileFacts, Key, check_kv_cache_type, key, serves, widened
from puna.scheduling.runner import Runner, RunnerState
from puna.settings import Settings
from puna.types import Engine, Turn

if TYPE_CHECKING:
    from puna.library import Model

log = logging.getLogger(__name__)

_LONGEST = (2**63 - 1) / 1e9  # seconds in Go's longest duration: what "for ever" is shown as
_QUEUE_FULL = "server busy, please try again.  maximum pending requests exceeded"
_PAUSE = 2.0
"""Seconds without a request after which the next load may be prepared, which takes time from nobody then."""

_NOTICEABLE = 1.05
"""A model that takes this many times as long for a token is slower."""


@dataclass(frozen=True)
class Lease:
    """A loaded model, held in memory until the lease ends."""

    engine: Engine
    load_ns: int
    """Nanoseconds that the request waited for loading and for a place."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory; sizes in bytes, context in tokens."""

    model: Model
    size: int
    size_vram: int
    expires_at: datetime
    context_length: int


@dataclass(eq=False)
class _Request:
    model: Model
    facts: Facts
    options: Options
    keep_alive: float
    turn: Turn
    granted: asyncio.Future[Runner]
    """Resolves to a runner whose `leases` already counts this one."""
    wider: Options | None = None
    """What to load for it, when a loaded model was too small."""


class Scheduler:
    """Loads, leases and unloads models on one event loop.

    `start` loads a model and raises LoadFailed when it cannot; it must clean up when it is cancelled.
    `find` looks for the devices that models may be placed on, without it none is. When the server is idle,
    `prepare` is awaited: it makes the next load quicker.
    """

    def __init__(
        self,
        settings: Settings,
        start: Callable[[LoadSpec], Awaitable[Engine]],
        find: Callable[[], Awaitable[Devices]] | None = None,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._settings = settings
        self._watch = Watch(find, changed=self._advance)
        self._fleet = Fleet(settings, start, changed=self._advance, failed=self._failed)
        self._prepare = prepare
        self._pause: asyncio.TimerHandle | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._waiting: list[_Request] = []
        self._served: list[Turn] = []
        """Of each lease."""
        self._pace = ServingPace()
        self._draining: set[Key] = set()
        """Runners whose newcomers wait until the leases on it have ended."""
        self._stopping = False
        """Newcomers are refused."""
        self._drained = asyncio.Event()
        self._closed = False

    @asynccontextmanager
    async def lease(
        self,
        model: Model,
        options: Options,
        keep_alive: float | None,
        *,
        turn: Turn = Turn(),  # noqa: B008
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> AsyncIterator[Lease]:
        """Hold `model` in memory, loading it first if need be.

        `turn` says who asks, because users wait in turn. `keep_alive` is seconds to stay loaded after the
        last lease: inf for ever, None the setting's. If it cannot be lent at once, `check` is awaited first:
        what that raises is raised before anything unloads.
        Raises Busy when the queue is full, Stopping, LoadFailed, PunaError when the model cannot fit, and
        BadRequest for a KV cache type that it cannot have.
        Who holds a lease must not ask for another: the second might wait for the first to end.

            async with scheduler.lease(model, options, None) as lease:
                async for piece in lease.engine.generate(job): ...
        """
        began = time.perf_counter_ns()
        request = _Request(
            model=model,
            facts=_facts(model),
            options=options,
            keep_alive=self._settings.keep_alive if keep_alive is None else keep_alive,
            turn=turn,
            granted=asyncio.get_running_loop().create_future(),
        )
        if devices := self._watch.seen.devices:
            check_options(options, [device.name for device in devices])
        check_kv_cache_type(request.facts, options, self._settings)
        if check and self._ready(request) is None:
            await check()
        runner = await self._acquire(request)
        assert runner.engine is not None
        try:
            yield Lease(runner.engine, time.perf_counter_ns() - began)
        except EngineGone:
            if self._closed:
                raise Stopping from None
            raise
        finally:
            self._release(runner, request)

    async def unload(self, model: Model) -> None:
        """Unload `model` now or, without waiting for it here, as soon as the leases on it have ended."""
        files = str(model.weights), _adapters(model), _projector(model), _draft(model)
        runner = self._fleet.runners.get(key(*files))
        if runner is None:
            return
        runner.keep_alive = 0
        if runner.state is RunnerState.READY and not runner.leases:
            await asyncio.wait({self._fleet.retire(runner)})

    def loaded(self) -> list[LoadedModel]:
        """The models in memory, the one that stays longest first."""
        now = asyncio.get_running_loop().time()
        wall = datetime.now().astimezone()
        models = []
        for runner in self._fleet.runners.values():
            if runner.engine is None or not runner.engine.alive:
                continue
            stays = runner.timer.when() - now if runner.timer else runner.keep_alive
            models.append(
                LoadedModel(
                    model=runner.model,
                    size=runner.engine.info.size,
                    size_vram=runner.engine.info.size_vram,
                    expires_at=wall + timedelta(seconds=min(stays, _LONGEST)),
                    context_length=runner.engine.info.num_ctx,
                )
            )
        return sorted(models, key=lambda m: m.expires_at, reverse=True)

    @property
    def waiting(self) -> int:
        """Requests that wait for a model, or for a place in one that is loaded."""
        return len(self._waiting) + self._fleet.excess

    @property
    def died(self) -> int:
        """Engines that ended by themselves, after they were ready."""
        return self._fleet.died

    @property
    def stopping(self) -> bool:
        """Newcomers are refused."""
        return self._stopping

    @property
    def unfinished(self) -> int:
        """Requests that are being served, or wait for it."""
        return len(self._waiting) + self._fleet.leases

    def rest(self) -> None:
        """Nobody is served: if that lasts for a while, the next load is prepared."""
        if self._prepare is None or self._stopping:
            return
        if self._pause is not None:
            self._pause.cancel()
        self._pause = asyncio.get_running_loop().call_later(_PAUSE, self._rested, self._prepare)

    def _rested(self, prepare: Callable[[], Awaitable[None]]) -> None:
        if not (self.unfinished or self._stopping):
            self._preparing = asyncio.ensure_future(prepare())

    async def drain(self) -> None:
        """Refuse who comes from now on, and wait until all who came before are served."""
        self._stopping = True
        self._advance()
        await self._drained.wait()

    async def close(self) -> None:
        """Refuse who waits, stop loads and end every engine, leased or not."""
        self._stopping = self._closed = True
        self._watch.close()
        if self._preparing is not None:
            await asyncio.wait({self._preparing})
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            self._refuse(request, Stopping())
        await self._fleet.close()

    async def _acquire(self, request: _Request) -> Runner:
        if self._stopping:
            raise Stopping
        runner = self._ready(request)
        if runner is not None:
            # The queue's first counts as being served, not as waiting, as in Ollama.
            pending = max(0, len(self._waiting) - 1) + self._fleet.excess
            if runner.leases >= runner.spec.parallel and pending >= self._settings.max_queue:
                raise Busy(_QUEUE_FULL, self._pace.seconds(asyncio.get_running_loop().time()))
            self._lend(runner, request)
            return runner
        if self._waiting and len(self._waiting) + self._fleet.excess > self._settings.max_queue:
            raise Busy(_QUEUE_FULL, self._pace.seconds(asyncio.get_running_loop().time()))
        self._waiting.append(request)
        self._advance()
        try:
            return await request.granted
        except asyncio.CancelledError:
            if request in self._waiting:
                self._waiting.remove(request)
                self._advance()
            elif not request.granted.cancelled() and request.granted.exception() is None:
                self._release(request.granted.result(), request)
            raise

    def _ready(self, request: _Request) -> Runner | None:
        """The runner that can serve `request` at once."""
        runner = self._fleet.runners.get(request.facts.key)
        if runner is None or runner.engine is None or not runner.engine.alive or runner.key in self._draining:
            return None
        return runner if self._serves(runner, request) else None

    def _lend(self, runner: Runner, request: _Request) -> None:
        self._served.append(request.turn)
        self._fleet.lend(runner, request.keep_alive)

    def _release(self, runner: Runner, request: _Request) -> None:
        self._served.remove(request.turn)
        self._pace.ended(asyncio.get_running_loop().time())
        self._fleet.take_back(runner)
        self._advance()

    def _advance(self) -> None:
        """Walk the queue in turn: lend, load, make room. Only this decides."""
        self._fleet.drop_dead()
        self._draining = set()
        placing = True
        for request in [self._waiting[at] for at in order([r.turn for r in self._waiting], self._served)]:
            if request.granted.done():  # cancelled, and about to leave the queue
                continue
            key = request.facts.key
            runner = self._fleet.runners.get(key)
            if runner is not None:
                if runner.state is not RunnerState.READY or key in self._draining:
                    continue
                if self._serves(runner, request):
                    self._waiting.remove(request)
                    self._lend(runner, request)
                    request.granted.set_result(runner)
                    continue
                request.wider = widened(request.options, request.facts, self._settings, runner.spec)
                if runner.leases:
                    self._draining.add(key)
                    continue
                self._fleet.retire(runner)
            if placing:
                # Who comes later must not take the room that this one waits for.
                placing = self._place(request)
        if not self.unfinished:
            self.rest()
            if self._stopping:
                self._drained.set()

    def _place(self, request: _Request) -> bool:
        """Begin a load for `request`, or refuse it; False means that it waits for the room being made."""
        if not self._watch.fresh(self._fleet.version):
            return False
        room = self._fleet.room(self._watch.seen.devices)
        try:
            now, best = self._chosen(request, room.now), self._chosen(request, room.alone)
        except PunaError as error:
            self._waiting.remove(request)
            self._refuse(request, error)
            return True
        if now.fits and room.slots > 0:
            if self._hastened(request, room, now):
                return False
            self._begin(request, now)
            return True
        if best.fits:
            enough: Callable[[Room], bool] = lambda r: r.slots > 0 and self._chosen(request, r.now).fits  # noqa: E731
            self._draining |= self._fleet.make_room(room, enough)
            return False
        if request.wider is not None:
            request.wider = None
            return self._place(request)
        self._waiting.remove(request)
        self._refuse(request, _no_place(best, room.alone))
        return True

    def _hastened(self, request: _Request, room: Room, now: Choice) -> bool:
        """Whether idle models make way, because that lets this one be placed where it is faster."""
        if not room.now.devices:
            return False
        could = self._chosen(request, self._fleet.without_idle(room).now).placement.seconds * _NOTICEABLE
        if now.placement.seconds <= could:
            return False
        self._fleet.make_room(
            room, lambda r: self._chosen(request, r.now).placement.seconds <= could, busy=False
        )
        return True

    def _begin(self, request: _Request, choice: Choice) -> None:
        spec, devices = choice.spec, choice.devices()
        if request.options.num_ctx > spec.num_ctx:
            wanted, trained = request.options.num_ctx, spec.num_ctx
            log.warning("requested context size too large for model: %d, trained on %d", wanted, trained)
        if self._watch.seen.devices:
            log.info("placing %s: %s", request.model.name.display(), described(spec.placed, devices))
        self._fleet.begin(Runner(request.model, spec, choice.host, devices, request.keep_alive))

    def _chosen(self, request: _Request, machine: Machine) -> Choice:
        wanted = request.wider or request.options
        return choose(request.facts, wanted, self._settings, machine, self._fleet.learned)

    def _serves(self, runner: Runner, request: _Request) -> bool:
        return serves(runner.spec, request.facts, request.options, self._settings)

    def _failed(self, runner: Runner, error: LoadFailed) -> None:
        if isinstance(error, DeviceFailed) and self._fleet.learned.refused(runner.key, runner.devices):
            log.warning("%s; trying again with less on the GPUs", error)
            return
        for request in [r for r in self._waiting if r.facts.key == runner.key]:
            self._waiting.remove(request)
            self._refuse(request, LoadFailed(str(error)))

    def _refuse(self, request: _Request, error: PunaError) -> None:
        if not request.granted.done():
            request.granted.set_exception(error)


def _no_place(choice: Choice, machine: Machine) -> PunaError:
    needs, has = human_size(choice.host), human_size(machine.host)
    words = f"model requires more system memory ({needs}) than is available ({has})"
    if needed := choice.devices():
        free = sum(device.free for device in machine.devices)
        words = (
            f"model requires {human_size(sum(needed.values()))} of GPU memory ({human_size(free)} available)"
        )
        words += f" and {needs} of system memory ({has} available)"
    return PunaError(words)


def _facts(model: Model) -> Facts:
    adapters, projector, draft = _adapters(model), _projector(model), _draft(model)
    try:
        size = sum(os.stat(file).st_size for file in (model.weights, *adapters))
        # One inside the file of the weights is counted with them.
        projector_size = os.stat(projector).st_size if projector not in ("", str(model.weights)) else 0
        draft_size = os.stat(draft).st_size if draft else 0
    except OSError as error:
        raise LoadFailed(f"cannot read {error.filename}: {error.strerror}") from error
    return Facts(
        path=str(model.weights),
        weights_size=size,
        metadata=model.metadata,
        embedding="completion" not in model.capabilities(),
        ranking="rerank" in model.capabilities(),
        adapters=adapters,
        tensors=model.metadata.tensors,
        projector=FileFacts(projector, projector_size, model.projector_metadata) if projector else None,
        draft=FileFacts(draft, draft_size, model.draft_metadata) if draft else None,
    )


def _adapters(model: Model) -> tuple[str, ...]:
    return tuple(map(str, model.adapters))


def _draft(model: Model) -> str:
    return str(model.draft or "")


def _projector(model: Model) -> str:
    return str(next(iter(model.projectors), ""))
