"""Beyond the process boundary, in these tests: engines that live and die as a test says, and time."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from puna.errors import LoadFailed
from puna.library import Model
from puna.load import EngineInfo, LoadSpec
from puna.options import Options
from puna.scheduling import Lease, Scheduler
from puna.scheduling.facts import Facts, FileFacts
from puna.scheduling.plan import footprint, plan
from puna.settings import Settings
from puna.types import Delta, Embeddings, Finish, Image, Job, Ranking, Sound, Texts

Models = dict[str, Model]
PLAIN = Options()


class SkippingSelector(selectors.SelectSelector):
    """Instead of waiting, moves its own clock on; with nothing left to wait for, it says so."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits and nothing is left that could happen")
        self.now += max(0.0, timeout)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose timers cost no time and always run in their order."""

    def __init__(self) -> None:
        self.clock = SkippingSelector()
        super().__init__(self.clock)

    def time(self) -> float:
        return self.clock.now

    def end(self) -> None:
        """Close the loop; whatever still runs on it is cancelled first."""
        left = asyncio.all_tasks(self)
        for task in left:
            task.cancel()
        if left:
            self.run_until_complete(asyncio.wait(left))
        self.close()


def virtual_time(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an async test on a VirtualLoop."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        loop = VirtualLoop()
        try:
            loop.run_until_complete(test(*args, **kwargs))
        finally:
            loop.end()

    return run


async def settle() -> None:
    """Let everything happen that can happen now."""
    for _ in range(30):
        await asyncio.sleep(0)


class ScriptedEngine:
    """Stands for an engine process: alive until it crashes or is closed."""

    def __init__(self, spec: LoadSpec) -> None:
        self.spec = spec
        self.info = EngineInfo(num_ctx=spec.num_ctx, embedding=False, size=7_000, size_vram=0, n_embd=64)
        self.crashed = False
        self.closed = False
        self.gone = False
        self.may_close = asyncio.Event()
        self.may_close.set()

    @property
    def alive(self) -> bool:
        return not self.crashed and not self.closed

    exhausted = False

    async def close(self) -> None:
        self.closed = True
        await self.may_close.wait()
        self.gone = True

    def generate(self, job: Job) -> AsyncGenerator[Delta | Finish, None]:
        raise NotImplementedError

    async def embed(
        self, texts: Texts, *, truncate: bool, limit: int = 0, normalize: bool = True
    ) -> Embeddings:
        raise NotImplementedError

    async def rank(self, query: str, documents: list[str], *, truncate: bool) -> Ranking:
        raise NotImplementedError

    async def tokenize(self, text: str, *, add_bos: bool = True) -> list[int]:
        raise NotImplementedError

    async def measure(self, medium: Image | Sound) -> int:
        raise NotImplementedError

    async def detokenize(self, tokens: list[int]) -> str:
        raise NotImplementedError


class Launch:
    """One call of `start`, which ends when the test says."""

    def __init__(self, spec: LoadSpec) -> None:
        self.spec = spec
        self.engine: ScriptedEngine | None = None
        self.cancelled = False
        self.outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def pending(self) -> bool:
        return not self.outcome.done()

    def succeed(self) -> None:
        self.outcome.set_result(None)

    def fail(self, reason: str) -> None:
        self.outcome.set_exception(LoadFailed(reason))


class Launcher:
    """Is a Scheduler's `start`. By itself a load succeeds at once; with `held`, when the test says."""

    def __init__(self, *, held: bool = False) -> None:
        self.held = held
        self.launches: list[Launch] = []

    async def __call__(self, spec: LoadSpec) -> ScriptedEngine:
        launch = Launch(spec)
        self.launches.append(launch)
        if not self.held:
            launch.succeed()
        try:
            await launch.outcome
        except asyncio.CancelledError:
            launch.cancelled = True
            raise
        launch.engine = ScriptedEngine(spec)
        return launch.engine

    @property
    def engines(self) -> list[ScriptedEngine]:
        return [launch.engine for launch in self.launches if launch.engine]


class Client:
    """A request in its own task: it asks for a lease and holds it until `leave`."""

    def __init__(self, lease: AbstractAsyncContextManager[Lease]) -> None:
        self.lease: Lease | None = None
        self._leave = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._run(lease))

    async def _run(self, lease: AbstractAsyncContextManager[Lease]) -> None:
        async with lease as self.lease:
            await self._leave.wait()

    @property
    def holds(self) -> bool:
        return self.lease is not None and not self.task.done()

    @property
    def waits(self) -> bool:
        return self.lease is None and not self.task.done()

    @property
    def engine(self) -> ScriptedEngine:
        assert self.lease is not None
        assert isinstance(self.lease.engine, ScriptedEngine)
        return self.lease.engine

    @property
    def error(self) -> str:
        """What the request was refused with."""
        assert self.task.done()
        return str(self.task.exception())

    def leave(self) -> Awaitable[None]:
        self._leave.set()
        return settle()

    def vanish(self) -> Awaitable[None]:
        """The person closed the connection."""
        self.task.cancel()
        return settle()


def running(scheduler: Scheduler) -> list[str]:
    """Names of the loaded models, in the order that `puna ps` shows."""
    return [loaded.model.name.model for loaded in scheduler.loaded_models()]


def least(model: Model, options: Options = PLAIN) -> int:
    """Bytes that a model needs at the least."""
    adapters = tuple(map(str, model.adapters))
    size = sum(file.stat().st_size for file in (model.weights, *model.adapters))
    draft = (
        FileFacts(str(model.draft), model.draft.stat().st_size, model.draft_metadata) if model.draft else None
    )
    facts = Facts(str(model.weights), size, model.metadata, adapters=adapters, draft=draft)
    spec = plan(facts, options, Settings(), 0)
    return footprint(facts, spec).total(spec.pool)


def room_for(models: int, model: Model) -> Settings:
    return Settings(memory=int((models + 0.5) * least(model)))


def ask(
    scheduler: Scheduler,
    model: Model,
    options: Options = PLAIN,
    keep_alive: float | None = None,
    **more: Any,
) -> Client:
    """A request; `more` goes to `Scheduler.lease`."""
    return Client(scheduler.lease(model, options, keep_alive, **more))


async def asked(scheduler: Scheduler, model: Model, options: Options = PLAIN, **more: Any) -> Client:
    """`ask`, and whatever follows from it at once."""
    client = ask(scheduler, model, options, **more)
    await settle()
    return client


def started(settings: Settings = Settings(), *, held: bool = False) -> tuple[Launcher, Scheduler]:  # noqa: B008
    launcher = Launcher(held=held)
    return launcher, Scheduler(settings, launcher)


async def use(scheduler: Scheduler, model: Model, options: Options = PLAIN, keep_alive: float | None = None):
    async with scheduler.lease(model, options, keep_alive):
        pass
