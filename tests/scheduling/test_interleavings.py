"""Whatever requests, crashes and unloads come in whatever order, what must never happen does not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from puna.errors import Busy, LoadFailed
from puna.library import Model
from puna.load import LoadSpec
from puna.options import Options
from puna.scheduling import Scheduler
from puna.scheduling.facts import Facts
from puna.scheduling.plan import footprint
from puna.settings import FOREVER, Settings
from tests.scheduling.cards import HOST, Cards
from tests.scheduling.scripted import Client, Launch, Launcher, ScriptedEngine, VirtualLoop, settle

MEMORY = 180 << 20  # two models at the default context, or one at the largest
NAMES = ["a", "b", "c", "also-a"]
WISHES = [Options(), Options(num_ctx=512), Options(num_ctx=32768), Options(num_batch=1024)]
ANY = st.integers(0, 99)


class Interleavings(RuleBasedStateMachine):
    models: ClassVar[dict[str, Model]]
    settings = Settings(memory=MEMORY, max_queue=3, num_parallel=2, keep_alive=50)
    wishes = WISHES

    def __init__(self) -> None:
        super().__init__()
        self.by_path = {str(model.weights): model for model in self.models.values()}
        self.loop = VirtualLoop()
        self.launcher, self.scheduler = self.made()
        self.clients: list[tuple[Client, Options]] = []
        self.do(settle)

    def made(self) -> tuple[Launcher, Scheduler]:
        launcher = Launcher(held=True)
        return launcher, Scheduler(self.settings, launcher)

    def do(self, step: Any, *args: Any) -> None:
        async def run() -> None:
            result = step(*args)
            if hasattr(result, "__await__"):
                await result
            await settle()

        self.loop.run_until_complete(run())

    @property
    def holders(self) -> list[Client]:
        return [client for client, _ in self.clients if client.holds]

    @property
    def waiters(self) -> list[Client]:
        return [client for client, _ in self.clients if client.waits]

    @property
    def loading(self) -> list[Launch]:
        return [launch for launch in self.launcher.launches if launch.pending and not launch.cancelled]

    @property
    def in_memory(self) -> list[ScriptedEngine]:
        return [engine for engine in self.launcher.engines if not engine.gone and not engine.crashed]

    @property
    def slow(self) -> list[ScriptedEngine]:
        return [engine for engine in self.launcher.engines if not engine.may_close.is_set()]

    def estimated(self, spec: LoadSpec) -> int:
        model = self.by_path[spec.path]
        facts = Facts(spec.path, model.weights.stat().st_size, model.metadata)
        return footprint(facts, spec).total(spec.pool)

    @rule(
        name=st.sampled_from(NAMES),
        choice=ANY,
        keep_alive=st.sampled_from([None, 0, 5, FOREVER]),
    )
    def request(self, name: str, choice: int, keep_alive: float | None):
        wish = self.wishes[choice % len(self.wishes)]

        def ask() -> None:
            lease = self.scheduler.lease(self.models[name], wish, keep_alive)
            self.clients.append((Client(lease), wish))

        self.do(ask)

    @precondition(lambda self: self.holders)
    @rule(which=ANY)
    def leave(self, which: int):
        self.do(self.holders[which % len(self.holders)].leave)

    @precondition(lambda self: self.holders or self.waiters)
    @rule(which=ANY)
    def vanish(self, which: int):
        present = self.holders + self.waiters
        self.do(present[which % len(present)].vanish)

    @precondition(lambda self: self.loading)
    @rule(which=ANY, slow_to_close=st.booleans())
    def loaded(self, which: int, slow_to_close: bool):
        launch = self.loading[which % len(self.loading)]
        self.do(launch.succeed)
        if slow_to_close and launch.engine:
            launch.engine.may_close.clear()

    @precondition(lambda self: self.loading)
    @rule(which=ANY)
    def load_fails(self, which: int):
        self.do(self.loading[which % len(self.loading)].fail, "it is corrupt")

    @precondition(lambda self: self.loading and self.waiters)
    @rule(which=ANY, who=ANY)
    def loaded_as_a_waiter_vanishes(self, which: int, who: int):
        def both() -> None:
            self.loading[which % len(self.loading)].succeed()
            self.waiters[who % len(self.waiters)].task.cancel()

        self.do(both)

    @precondition(lambda self: self.in_memory)
    @rule(which=ANY)
    def crash(self, which: int):
        engine = self.in_memory[which % len(self.in_memory)]
        engine.crashed = True
        engine.may_close.set()
        self.do(settle)

    @precondition(lambda self: self.slow)
    @rule(which=ANY)
    def close_ends(self, which: int):
        self.do(self.slow[which % len(self.slow)].may_close.set)

    @rule(name=st.sampled_from(NAMES))
    def unload(self, name: str):
        unload = self.scheduler.unload(self.models[name])
        self.do(lambda: self.loop.create_task(unload) and None)

    @rule(seconds=st.sampled_from([1, 10, 100]))
    def time_passes(self, seconds: float):
        def ring() -> None:
            self.loop.clock.now += seconds

        self.do(ring)

    @invariant()
    def a_model_loads_once_at_a_time(self):
        assert max(Counter(launch.spec.path for launch in self.loading).values(), default=0) <= 1
        serving = [launch.spec.path for launch in self.loading]
        serving += [engine.spec.path for engine in self.in_memory if engine.alive]
        assert max(Counter(serving).values(), default=0) <= 1

    @invariant()
    def no_engine_is_closed_under_a_lease(self):
        for client in self.holders:
            assert client.engine.crashed or not client.engine.closed

    @invariant()
    def the_budget_is_kept(self):
        held = [launch.spec for launch in self.loading] + [engine.spec for engine in self.in_memory]
        assert sum(map(self.estimated, held)) <= MEMORY
        if self.settings.max_loaded_models:
            assert len(held) <= self.settings.max_loaded_models

    @invariant()
    def whoever_is_served_has_what_was_asked_for(self):
        for client, wish in self.clients:
            if client.holds:
                assert client.engine.spec.num_ctx >= min(wish.num_ctx, 32768)
                assert client.engine.spec.num_batch >= wish.num_batch

    @invariant()
    def the_queue_is_bounded(self):
        assert len(self.waiters) <= self.settings.max_queue + 1

    @invariant()
    def nobody_waits_for_nothing(self):
        """Some load, close or lease has yet to end wherever a request waits."""
        assert not self.waiters or self.loading or self.slow or self.holders

    def teardown(self):
        for engine in self.launcher.engines:
            engine.may_close.set()
        self.do(settle)
        for _ in range(2 * len(self.clients) + 2):
            for launch in self.loading:
                self.do(launch.succeed)
            for client in self.holders:
                self.do(client.leave)
        assert not self.waiters, "everyone is served or refused in the end"
        for client, _ in self.clients:
            if not client.task.cancelled() and client.task.exception():
                assert isinstance(client.task.exception(), (Busy, LoadFailed))
        self.do(self.scheduler.close)
        assert not self.in_memory
        self.loop.end()


class OneAtATime(Interleavings):
    settings = replace(Interleavings.settings, max_loaded_models=1)


class Replicated(Interleavings):
    """Two cards, each with room for one model or two."""

    settings = replace(Interleavings.settings, memory=HOST)
    wishes: ClassVar[list[Options]] = [*WISHES, Options(replicas=2), Options(replicas=2, num_ctx=512)]

    def made(self) -> tuple[Launcher, Scheduler]:
        cards = Cards(60, 70, held=True)
        return cards, Scheduler(self.settings, cards, cards.find)

    @invariant()
    def a_model_loads_once_at_a_time(self):
        """On each card; and once on the host, where it had no place on a card."""
        specs = [launch.spec for launch in self.loading]
        specs += [engine.spec for engine in self.in_memory if engine.alive]
        places = Counter((spec.path, name) for spec in specs for name in spec.placed.devices or ("CPU",))
        assert max(places.values(), default=0) <= 1

    @invariant()
    def the_budget_is_kept(self):
        """What the engines' places show already."""


@pytest.mark.parametrize(("machine", "examples"), [(Interleavings, 100), (OneAtATime, 40), (Replicated, 60)])
def test_interleavings(machine: type[Interleavings], examples: int, models: dict[str, Model]):
    machine.models = models
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=40, deadline=None)
    )
