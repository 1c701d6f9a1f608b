"""What takes long to prepare holds nobody up, and may be cancelled meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from threading import Event

import pytest

from puna.engine.messages import Command, Detokenize, Embed, Generate, Measure, Rank, Tokenize
from puna.engine.preparation import Preparation, Work, is_long
from puna.errors import BadRequest
from puna.options import Options
from puna.types import Begun, Delta, Finish, Grammar, Image, Job
from tests.models import scripted_model

from .asking import ask, job, loaded, schema

SECONDS = 10


class Desk:
    """Prepares commands when it is told to."""

    def __init__(self) -> None:
        self.begun = Event()
        self.may_end = Event()
        self.prepared: list[int] = []
        self.delivered: list[tuple[int, bool]] = []
        self.done = Event()
        self.preparation = Preparation(self._prepare, self._deliver)

    def _prepare(self, command: Command) -> Work | None:
        self.prepared.append(command.request)
        self.begun.set()
        assert self.may_end.wait(SECONDS)
        return None if isinstance(command, Tokenize) else self.done.set

    def _deliver(self, request: int, work: Work, wanted: bool) -> None:
        self.delivered.append((request, wanted))
        work()


def generate(request: int) -> Generate:
    return Generate(request, Job(prompt="x", options=Options()))


def test_a_request_that_is_cancelled_while_it_is_prepared_is_not_wanted():
    desk = Desk()
    desk.preparation.begin(generate(1))
    assert desk.begun.wait(SECONDS)
    assert desk.preparation.cancel(1)
    assert not desk.preparation.cancel(1)
    desk.may_end.set()
    assert desk.done.wait(SECONDS)
    assert desk.delivered == [(1, False)]


def test_a_request_that_is_cancelled_before_its_turn_is_not_prepared():
    desk = Desk()
    for request in (1, 2, 3):
        desk.preparation.begin(Tokenize(request, "", False) if request == 1 else generate(request))
    assert desk.begun.wait(SECONDS)
    assert desk.preparation.cancel(2)
    desk.may_end.set()
    assert desk.done.wait(SECONDS)
    assert desk.prepared == [1, 3]
    assert desk.delivered == [(3, True)]
    assert not desk.preparation.cancel(3)


@pytest.mark.parametrize(
    ("command", "long"),
    [
        (generate(1), False),
        (Generate(1, Job(prompt="x" * 5000, options=Options())), True),
        (Generate(1, Job(prompt=[1] * 5000, options=Options())), True),
        (Generate(1, Job(prompt="x", options=Options(), grammar=Grammar("start: /a/"))), True),
        (Generate(1, Job(prompt="x", options=Options(), media=(Image(1, 1, b"abc"),))), True),
        (Embed(1, ["a"] * 10, True, 0, True), False),
        (Embed(1, ["a" * 500] * 10, True, 0, True), True),
        (Rank(1, "q" * 50, ["d"] * 100, True), True),
        (Tokenize(1, "a" * 5000, True), True),
        (Measure(1, Image(1, 1, b"")), True),
        (Detokenize(1, [1] * 10), False),
    ],
)
def test_short_requests_are_not_handed_over(command: Command, long: bool):
    assert is_long(command) == long


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "talker.gguf"
    scripted_model(path, ["Hello", " there"])
    return path


def slow() -> Grammar:
    """A grammar that takes long to compile."""
    names = {f"p{at}": {"type": "string", "pattern": f"^(a|b{at}){{1,40}}[xyz]*$"} for at in range(300)}
    return schema(json.dumps({"type": "object", "properties": names, "required": list(names)}))


async def parts(events: AsyncIterator[Begun | Delta | Finish]) -> list[Begun | Delta | Finish]:
    return [event async for event in events]


async def test_others_go_on_and_cancelling_wins_while_a_grammar_is_compiled(talker: Path):
    async with loaded(talker) as engine:
        compiling = engine.generate(job("x", grammar=slow(), num_predict=5))
        waiting = asyncio.ensure_future(parts(compiling))
        answer = await ask(engine, "x")
        assert answer.text == "Hello there"
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await compiling.aclose()
        assert (await ask(engine, "x")).text == "Hello there"
        assert (await ask(engine, "x", grammar=schema('{"const": 5}'))).text == "5"


async def test_what_is_wrong_with_a_grammar_is_told_from_the_other_thread(talker: Path):
    async with loaded(talker) as engine:
        with pytest.raises(BadRequest, match="invalid JSON schema in format: pattern"):
            await ask(engine, "x", grammar=schema('{"type": "string", "pattern": "("}'))
        assert (await ask(engine, "x")).text == "Hello there"


async def test_a_long_text_is_tokenised_while_others_are_answered(talker: Path):
    async with loaded(talker) as engine:
        tokens, answer = await asyncio.gather(engine.tokenize("é" * 5_000), ask(engine, "x"))
        assert len(tokens) >= 10_000
        assert answer.text == "Hello there"
