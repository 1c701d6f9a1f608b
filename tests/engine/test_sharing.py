"""Continuous batching and shared prefixes: what one request has evaluated, others do not evaluate again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from puna.engine.intake import Intake
from puna.engine.messages import Finished, Generate, Started
from puna.types import Delta
from tests.engine.asking import agree, ask, job, loaded
from tests.engine.looped import Asked
from tests.models import recurrent_model, sliding_window_model

SYSTEM = "You are a careful assistant who answers in short sentences. " * 3


async def test_the_next_turn_evaluates_only_what_is_new(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        first = await ask(engine, SYSTEM, num_predict=10)
        assert first.finish.cached_tokens == 0
        turn = first.finish.tokens + await engine.tokenize("And then?", add_bos=False)
        second = await ask(engine, turn, num_predict=5)
        # All but the last token of the first answer, which was drawn and never evaluated.
        assert second.finish.cached_tokens == len(first.finish.tokens) - 1
        assert second.finish.prompt_tokens == len(turn)


async def test_a_repeat_evaluates_nothing(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        first = await ask(engine, SYSTEM, num_predict=10, logprobs=2)
        again = await ask(engine, SYSTEM, num_predict=10, logprobs=2)
        assert again.finish.cached_tokens == again.finish.prompt_tokens
        assert 0 < again.finish.prompt_ns < first.finish.prompt_ns
        assert again.agrees(first)


async def test_different_requests_share_a_system_prompt(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        shared = len(await engine.tokenize(SYSTEM))
        await ask(engine, SYSTEM + "one", num_predict=5)
        second = await ask(engine, SYSTEM + "two, other", num_predict=5)
        assert second.finish.cached_tokens == shared
        third = await ask(engine, SYSTEM + "one again", num_predict=5)
        assert third.finish.cached_tokens == shared + 3


async def test_sharing_does_not_change_an_answer(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        alone = await ask(engine, SYSTEM + "What now?", num_predict=6, logprobs=2)
    async with loaded(shaped) as engine:
        await ask(engine, SYSTEM + "Something else entirely.", num_predict=6)
        shared = await ask(engine, SYSTEM + "What now?", num_predict=6, logprobs=2)
        assert shared.finish.cached_tokens > 0
        assert shared.agrees(alone)


async def test_requests_that_arrive_together_evaluate_a_prefix_once(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        shared = len(await engine.tokenize(SYSTEM))
        answers = await asyncio.gather(
            *(ask(engine, f"{SYSTEM}{n} is the number", num_predict=8) for n in range(8))
        )
        cached = sorted(answer.finish.cached_tokens for answer in answers)
        assert cached[0] == 0
        assert cached[1:] == [shared] * 7


async def test_many_streams_at_once_answer_as_if_alone(shaped: Path) -> None:
    prompts = [f"{n} bottles of beer" for n in range(8)]
    async with loaded(shaped) as engine:
        together = await asyncio.gather(*(ask(engine, p, num_predict=20, logprobs=2) for p in prompts))
        interleaved = await asyncio.gather(*(ask(engine, p, num_predict=20, logprobs=2) for p in prompts))
    async with loaded(shaped, parallel=1) as engine:
        alone = [await ask(engine, p, num_predict=20, logprobs=2) for p in prompts]
    assert agree(together, alone)
    assert agree(interleaved, alone)


async def test_more_requests_than_places_are_all_served(shaped: Path) -> None:
    async with loaded(shaped, parallel=2) as engine:
        answers = await asyncio.gather(*(ask(engine, f"request {n}", num_predict=6) for n in range(12)))
        assert [a.finish.eval_tokens for a in answers] == [6] * 12


async def test_a_long_prompt_does_not_stall_a_stream(shaped: Path) -> None:
    async with loaded(shaped, num_ctx=4096, pool=8192) as engine:
        order: list[str] = []

        async def stream() -> None:
            async for event in engine.generate(job("short", num_predict=200)):
                if isinstance(event, Delta):
                    order.append("stream")

        running = asyncio.create_task(stream())
        while len(order) < 5:
            await asyncio.sleep(0.001)
        before = len(order)
        await ask(engine, "a long prompt " * 250, num_predict=1)
        # 3,500 tokens take 7 chunks of the largest size, and the stream gets a token with every one of them.
        assert len(order) - before >= 6
        await running


@pytest.mark.parametrize(("cache", "least", "most"), [(0, 1, 2), (400 << 10, 3, 4), (64 << 20, 6, 6)])
async def test_the_oldest_prefixes_go_first(shaped: Path, cache: int, least: int, most: int) -> None:
    """The pool has cells for two of these; 220 tokens of this model's KV are 110 kB, so 400 kB save three.

    One more may still be in the pool alone, if there was no pause to save it in.
    """
    async with loaded(shaped, num_ctx=256, pool=512, cache=cache) as engine:
        prompts = [f"{n}" * 200 for n in range(6)]
        for prompt in prompts:
            assert (await ask(engine, prompt, num_predict=20)).finish.eval_tokens == 20
        found = [
            (await ask(engine, prompt, num_predict=1)).finish.cached_tokens > 190 for prompt in prompts[::-1]
        ]
        assert found[:least] == [True] * least
        assert sum(found) <= most


async def test_a_saved_prefix_comes_back_unchanged(shaped: Path) -> None:
    async with loaded(shaped, pool=512) as engine:
        first = await ask(engine, SYSTEM, num_predict=6, logprobs=2)
        for n in range(4):
            await ask(engine, f"{n}" * 300, num_predict=6)
        again = await ask(engine, SYSTEM, num_predict=6, logprobs=2)
        assert again.finish.cached_tokens == again.finish.prompt_tokens
        assert again.agrees(first)
        for n in range(4):
            await ask(engine, f"{n}" * 300, num_predict=6)
        turn = first.finish.tokens + await engine.tokenize("And then?", add_bos=False)
        continued = await ask(engine, turn, num_predict=6, logprobs=2)
        assert continued.finish.cached_tokens == len(first.finish.tokens) - 1
    async with loaded(shaped) as engine:
        fresh = await ask(engine, turn, num_predict=6, logprobs=2)
        assert continued.agrees(fresh)


async def test_requests_that_outgrow_the_pool_together_still_finish(shaped: Path) -> None:
    async with loaded(shaped, num_ctx=256, pool=256, parallel=4) as engine:
        prompts = [f"{n}" * 30 for n in range(4)]
        answers = await asyncio.gather(*(ask(engine, p, num_predict=120, logprobs=2) for p in prompts))
        assert [a.finish.eval_tokens for a in answers] == [120] * 4
    async with loaded(shaped, num_ctx=256, pool=1024) as engine:
        alone = [await ask(engine, p, num_predict=120, logprobs=2) for p in prompts]
    assert agree(answers, alone)


@pytest.mark.parametrize("added", ["", "c" * 20])
async def test_a_prefix_in_host_memory_waits_for_room_in_the_pool(shaped: Path, added: str) -> None:
    """A repeated prompt, and one that begins alike: neither is evaluated again."""
    prompt = "b" * 400
    long = job("a" * 700, num_predict=200, temperature=1.5, seed=1, bias={2: -100.0})
    async with loaded(shaped, num_ctx=1024, pool=1024, parallel=4) as engine:
        await ask(engine, prompt, num_predict=4)
        answer = engine.generate(long)
        async for event in answer:
            if isinstance(event, Delta):
                break
        again = asyncio.create_task(ask(engine, prompt + added, num_predict=4))
        async for _ in answer:
            pass
        assert (await again).finish.cached_tokens >= 400


@pytest.mark.parametrize("make", [recurrent_model, sliding_window_model])
async def test_memory_that_cannot_be_cut_gives_the_same_answers(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "model.gguf"
    make(path)
    prompts = [SYSTEM, SYSTEM + "more", SYSTEM, SYSTEM + "other"]
    fresh = []
    for prompt in prompts:
        async with loaded(path) as engine:
            fresh.append(await ask(engine, prompt, num_predict=8, logprobs=2))
    async with loaded(path) as engine:
        warm = [await ask(engine, p, num_predict=8, logprobs=2) for p in prompts]
        together = await asyncio.gather(*(ask(engine, p, num_predict=8, logprobs=2) for p in prompts))
        turn = warm[0].finish.tokens + await engine.tokenize(" And?", add_bos=False)
        continued = await ask(engine, turn, num_predict=8, logprobs=2)
    assert agree(warm, fresh)
    assert agree(together, fresh)
    async with loaded(path) as engine:
        anew = await ask(engine, turn, num_predict=8, logprobs=2)
    assert continued.agrees(anew)


@pytest.mark.parametrize("make", [recurrent_model, sliding_window_model])
async def test_memory_that_cannot_be_cut_goes_on_from_its_end(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    path = tmp_path / "model.gguf"
    make(path)
    async with loaded(path) as engine:
        first = await ask(engine, SYSTEM, num_predict=12)
        turn = first.finish.tokens + await engine.tokenize(" And?", add_bos=False)
        second = await ask(engine, turn, num_predict=4)
        assert second.finish.cached_tokens == len(first.finish.tokens) - 1
        shifted = await ask(engine, "begin", num_ctx=64, num_predict=150)
        assert shifted.finish.eval_tokens == 150


@pytest.mark.parametrize("other", ["", "bob"])
async def test_what_one_owner_has_read_is_read_anew_for_another(shaped: Path, other: str) -> None:
    async with loaded(shaped) as engine:
        first = await ask(engine, SYSTEM, num_predict=5, owner="ann")
        theirs = await ask(engine, SYSTEM, num_predict=5, owner=other)
        assert first.finish.cached_tokens == theirs.finish.cached_tokens == 0
        for owner in ("ann", other):
            again = await ask(engine, SYSTEM, num_predict=5, owner=owner)
            assert again.finish.cached_tokens == again.finish.prompt_tokens


async def test_owners_that_ask_at_once_do_not_share(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        asked = [ask(engine, SYSTEM, num_predict=5, owner=owner) for owner in ("ann", "bob", "ann", "bob")]
        answers = await asyncio.gather(*asked)
        assert [answer.finish.cached_tokens > 0 for answer in answers] == [False, False, True, True]


def test_shared_cells_are_counted_when_their_first_owner_has_ended(
    shaped: Path, opened: Callable[..., Asked]
) -> None:
    """The second sequence holds them then: a third one, for which there is no room beside it, waits."""
    asked = opened(shaped, pool=1024)
    intake = Intake(asked.model, None, num_ctx=1000)

    def submit(number: int, prompt: list[int], answer: int) -> None:
        asked.loop.submit(
            intake.sequence(Generate(number, job(prompt, num_predict=answer, bias={2: -100.0})))
        )
        asked.loop.step()

    head = [3 + number % 200 for number in range(400)]
    submit(0, [*head, 9, 9], 10)
    while not asked.events:
        asked.loop.step()
    submit(1, [*head, 8], 60)
    while not asked.finishes():
        asked.loop.step()
    submit(2, [5 + number % 50 for number in range(700)], 1)
    while asked.loop.busy:
        asked.loop.step()
    order = [(type(event), event.request) for event in asked.events if isinstance(event, (Started, Finished))]
    assert order[-4:] == [(Finished, 0), (Finished, 1), (Started, 2), (Finished, 2)]
