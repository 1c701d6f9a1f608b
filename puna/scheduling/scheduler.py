"""Loads, leases and evicts models.

Every event (a new request, the end of a lease, a load or a close) calls `_advance`. It walks the queue once
and does all that is possible: lease a runner, start a load, evict. Nothing polls. Each walk recomputes which
runners drain, so a cancelled request needs no cleanup.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from puna.errors import Busy, DeviceFailed, EngineGone, LoadFailed, PunaError, Stopping
from puna.load import Devices, DryRun, LoadSpec
from puna.options import Options
from puna.scheduling.choice import check_options
from puna.scheduling.facts import facts_of, key_of
from puna.scheduling.fleet import Fleet, LoadedModel
from puna.scheduling.idle import IdleWork
from puna.scheduling.learned import DryRuns
from puna.scheduling.loads import Loads
from puna.scheduling.machine import Watch
from puna.scheduling.patterns import Patterns
from puna.scheduling.plan import check_kv_cache_type, serves, widen
from puna.scheduling.queue import LeaseRequest, Queue
from puna.scheduling.replicas import Replicas
from puna.scheduling.retry_after import RetryAfter
from puna.scheduling.routing import blocks, choose_replica
from puna.scheduling.runner import Runner, RunnerState
from puna.settings import Settings
from puna.types import Engine, Turn

if TYPE_CHECKING:
    from puna.library import Model

log = logging.getLogger(__name__)

_QUEUE_FULL = "server busy, please try again.  maximum pending requests exceeded"


@dataclass(frozen=True)
class Lease:
    """A loaded model, which stays in memory until the lease ends."""

    engine: Engine
    load_ns: int
    """Nanoseconds that the request waited in the queue and for a load."""


class Scheduler:
    """Loads, leases and unloads models on one event loop.

    `start` loads a model or raises LoadFailed; it cleans up if it is cancelled. `find` lists the devices for
    placement; without it none is used. `prepare` is awaited while the server is idle, to speed up the next
    load. `dry_run` measures a load where estimates are too inexact.
    """

    def __init__(
        self,
        settings: Settings,
        start: Callable[[LoadSpec], Awaitable[Engine]],
        find: Callable[[], Awaitable[Devices]] | None = None,
        prepare: Callable[[], Awaitable[None]] | None = None,
        dry_run: Callable[[LoadSpec], Awaitable[DryRun | None]] | None = None,
    ) -> None:
        self._settings = settings
        self._watch = Watch(find, on_change=self._advance)
        self._fleet = Fleet(settings, start, on_change=self._advance, on_failed=self._on_load_failed)
        self._dry_runs = DryRuns(dry_run, self._fleet.learned, on_change=self._advance)
        self._loads = Loads(settings, self._fleet, self._watch, self._dry_runs)
        self._replicas = Replicas(self._fleet, self._loads)
        self._idle = IdleWork(prepare, lambda: self.unfinished > 0 or self._stopping) if prepare else None
        self._patterns = Patterns()
        self._queue = Queue()
        self._retry_after = RetryAfter()
        self._draining: set[Runner] = set()
        """Runners that get no new leases until all theirs have ended."""
        self._stopping = False
        """New requests are refused."""
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
        prompt: Callable[[], bytes] = bytes,
    ) -> AsyncIterator[Lease]:
        """Lease `model`, after loading it if necessary.

        `turn` names the user, because users take turns. `keep_alive` is seconds to stay loaded after the
        last lease: inf forever, None the setting's. If no runner is ready, `check` is awaited first,
        so that its errors are raised before anything unloads. `prompt` decides which replica is leased.
        Raises Busy when the queue is full, Stopping, LoadFailed, PunaError when the model cannot fit, and
        BadRequest for a KV cache type that it cannot have.
        Never acquire a second lease within one: they can deadlock.

            async with scheduler.lease(model, options, None) as lease:
                async for piece in lease.engine.generate(job): ...
        """
        began = time.perf_counter_ns()
        request = LeaseRequest(
            model=model,
            facts=facts_of(model),
            options=options,
            keep_alive=self._settings.keep_alive if keep_alive is None else keep_alive,
            turn=turn,
            granted=asyncio.get_running_loop().create_future(),
        )
        if devices := self._watch.seen.devices:
            check_options(options, [device.name for device in devices])
        await self._patterns.check(options, request.facts)
        check_kv_cache_type(request.facts, options, self._settings)
        if options.replicas > 1 or len(self._fleet.replicas(request.facts.key)) > 1:
            request.prompt = blocks(prompt())
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
        """Unload `model` and wait, or if it has leases, unload it later when they have ended."""
        closing = set[asyncio.Task[None]]()
        for runner in self._fleet.replicas(key_of(model)):
            runner.keep_alive = 0
            if runner.state is RunnerState.READY and not runner.leases:
                closing.add(self._fleet.retire(runner))
        if closing:
            await asyncio.wait(closing)

    def loaded_models(self) -> list[LoadedModel]:
        """The models in memory, the last to expire first."""
        return self._fleet.loaded_models()

    @property
    def waiting(self) -> int:
        """Requests that wait for a load, or for a slot in a loaded model."""
        return len(self._queue) + self._fleet.excess

    @property
    def died(self) -> int:
        """Engines that died after they were ready."""
        return self._fleet.died

    @property
    def stopping(self) -> bool:
        """New requests are refused."""
        return self._stopping

    @property
    def unfinished(self) -> int:
        """Requests that run or wait."""
        return len(self._queue) + self._fleet.leases

    def rest(self) -> None:
        """The server is idle: after a pause, the next load is prepared."""
        if self._idle is not None:
            self._idle.rest()

    async def drain(self) -> None:
        """Refuse new requests, and wait for all others to finish."""
        self._stopping = True
        self._advance()
        await self._drained.wait()

    async def close(self) -> None:
        """Refuse waiting requests, stop loads and end every engine, leased or not."""
        self._stopping = self._closed = True
        self._watch.close()
        self._dry_runs.close()
        if self._idle is not None:
            await self._idle.close()
        self._queue.refuse_all(Stopping())
        await self._fleet.close()

    async def _acquire(self, request: LeaseRequest) -> Runner:
        if self._stopping:
            raise Stopping
        # First, because dead engines must not count as replicas.
        self._fleet.drop_dead()
        runner = self._ready(request)
        if runner is not None:
            # As in Ollama, the first request in the queue does not count as pending.
            pending = max(0, len(self._queue) - 1) + self._fleet.excess
            if runner.full and pending >= self._settings.max_queue:
                raise self._full()
            self._lend(runner, request)
            if not len(self._queue):
                self._replicas.advance()
            return runner
        if len(self._queue) and self.waiting > self._settings.max_queue:
            raise self._full()
        self._queue.add(request)
        self._advance()
        try:
            return await request.granted
        except asyncio.CancelledError:
            if self._queue.leave(request):
                self._advance()
            elif not request.granted.cancelled() and request.granted.exception() is None:
                self._release(request.granted.result(), request)
            raise

    def _full(self) -> Busy:
        return Busy(_QUEUE_FULL, self._retry_after.seconds(asyncio.get_running_loop().time()))

    def _ready(self, request: LeaseRequest) -> Runner | None:
        """The best runner that can serve `request` at once."""
        ready = [
            runner
            for runner in self._fleet.replicas(request.facts.key)
            if runner.engine is not None
            and runner.engine.alive
            and runner not in self._draining
            and serves(runner.spec, request.facts, request.options, self._settings)
        ]
        return choose_replica(request.prompt, ready) if ready else None

    def _lend(self, runner: Runner, request: LeaseRequest) -> None:
        self._queue.add_lease(request)
        self._fleet.lend(runner, request.keep_alive)
        request.work = runner.traffic.begin(request.prompt)
        self._replicas.want(request)

    def _release(self, runner: Runner, request: LeaseRequest) -> None:
        self._queue.end_lease(request)
        self._retry_after.add_end(asyncio.get_running_loop().time())
        runner.traffic.end(request.work)
        self._fleet.take_back(runner)
        self._advance()

    def _advance(self) -> None:
        """Walk the queue: lease, load, evict."""
        self._fleet.drop_dead()
        self._draining = set()
        placing = True
        for request in self._queue.in_order():
            if runner := self._ready(request):
                self._queue.leave(request)
                self._lend(runner, request)
                request.granted.set_result(runner)
            elif self._needs_load(request) and placing:
                # Later requests must not load into the memory that this one waits for.
                placing = self._load(request)
        if placing and not self._stopping:
            self._replicas.advance()
        if not self.unfinished:
            self.rest()
            if self._stopping:
                self._drained.set()

    def _needs_load(self, request: LeaseRequest) -> bool:
        """Whether `request` waits for a load. First retires engines of its model that cannot serve it."""
        replicas = self._fleet.replicas(request.facts.key)
        if any(runner.state is not RunnerState.READY or runner in self._draining for runner in replicas):
            return False
        options = request.options
        for runner in replicas:
            request.wider = options = widen(options, request.facts, self._settings, runner.spec)
            if runner.leases:
                self._draining.add(runner)
            else:
                self._fleet.retire(runner)
        return not any(runner.leases for runner in replicas)

    def _load(self, request: LeaseRequest) -> bool:
        """Start a load for `request`, or refuse it; False if it waits for evictions."""
        try:
            draining = self._loads.begin(request)
        except PunaError as error:
            self._queue.refuse(request, error)
            return True
        except Exception as error:
            # Otherwise each walk would end at this request, and later ones would wait forever.
            log.exception("planning the load of %s", request.facts.path)
            self._queue.refuse(request, LoadFailed(f"unable to load model: {error}"))
            return True
        self._draining |= draining or set()
        return draining is None

    def _on_load_failed(self, runner: Runner, error: LoadFailed) -> None:
        if isinstance(error, DeviceFailed) and self._fleet.learned.set_limits(runner.key, runner.devices):
            log.warning("%s; trying again with less on the GPUs", error)
            return
        if self._fleet.replicas(runner.key):
            self._replicas.give_up(runner.key, error)
        else:
            self._queue.refuse_all(LoadFailed(str(error)), runner.key)
