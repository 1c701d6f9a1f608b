"""What is guessed changes how fast an answer comes, and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.engine import drafts
from puna.engine.drafts import Costs, Drafter, SharedTexts, TokenText, best_length
from puna.engine.libllama import Context
from puna.types import Grammar, Job
from tests.engine.asking import NEAR, ask, job, loaded
from tests.engine.looped import FEW, NOTHING, PROMPTS, SCRIPT, WORDS, Asked, jobs
from tests.hybrid_models import ROLLED
from tests.models import (
    chance_model,
    recurrent_model,
    scripted_model,
    shape_model,
    sliding_window_model,
)


@pytest.fixture(scope="module")
def chance(tmp_path_factory: pytest.TempPathFactory, opened: Callable[[Path], Asked]) -> Asked:
    path = tmp_path_factory.mktemp("chance") / "chance.gguf"
    chance_model(path)
    return opened(path)


@FEW
@given(asked=st.lists(jobs(), min_size=1, max_size=3), after=PROMPTS, seed=st.integers(0, 99))
def test_answers_are_those_without_drafts(
    chance: Asked, eager: None, asked: list[Job], after: list[int], seed: int
) -> None:
    chance.begin()
    plain = chance.answers(asked, NOTHING)
    # What they have left in memory serves the next prompt as well.
    turns = [job(outcome[-1][-1] + after, num_predict=8, logprobs=1) for outcome in plain]
    next_plain = chance.answers(turns, NOTHING)
    known = [outcome[-1][-1][-outcome[-1][1] :] for outcome in plain]
    chance.begin()
    assert chance.answers(asked, known, seed=seed) == plain
    assert chance.answers(turns, [outcome[-1][-1][-8:] for outcome in next_plain], seed=seed) == next_plain


@FEW
@given(prompts=st.lists(PROMPTS, min_size=2, max_size=4), steps=st.integers(1, 12), seed=st.integers(0, 99))
def test_a_cancelled_request_leaves_memory_that_is_true(
    chance: Asked, eager: None, prompts: list[list[int]], steps: int, seed: int
) -> None:
    asked = [
        job(prompt, num_predict=30, temperature=1.0, seed=number) for number, prompt in enumerate(prompts)
    ]
    chance.begin()
    plain = chance.answers(asked, NOTHING)
    known = [outcome[-1][-1][-30:] for outcome in plain]
    chance.begin()
    others = chance.answers(asked, known, seed=seed, cancel=(0, steps))
    # One whose twin is cancelled may find more of its prompt evaluated.
    assert [outcome[:2] for outcome in others[1:]] == [outcome[:2] for outcome in plain[1:]]
    again = chance.answers(asked, known, seed=seed)
    assert [outcome[0] for outcome in again] == [outcome[0] for outcome in plain]


@pytest.mark.parametrize("make", [shape_model, sliding_window_model, *ROLLED.values()])
def test_memory_after_rejected_drafts_is_what_it_would_be(
    tmp_path: Path, opened: Callable[..., Asked], make: Callable[[Path], None], eager: None
) -> None:
    make(tmp_path / "m.gguf")
    asked = opened(tmp_path / "m.gguf", rollback=7)
    for seed in range(6):
        one = job([seed + 5, *range(10, 70)], num_predict=60, logprobs=2)
        asked.begin()
        (plain,) = asked.answers([one], NOTHING)
        answer = plain[-1][-1][-plain[-1][1] :]
        turn = job([*plain[-1][-1][:-1], 9, 8, 7], num_predict=1, logprobs=2)
        (next_plain,) = asked.answers([turn], NOTHING)
        asked.begin()
        (drafted,) = asked.answers([one], [answer], seed=seed)
        (finish,) = asked.finishes()
        assert 0 < finish.accepted < finish.drafted
        assert asked.steps < finish.eval_tokens
        same = [a.bytes == b.bytes for a, b in zip(plain[1], drafted[1], strict=True)]
        assert all(same), same  # random weights, no near ties among these
        (next_drafted,) = asked.answers([turn], NOTHING)
        assert next_drafted[-1][2] == next_plain[-1][2]
        assert abs(next_drafted[1][0].logprob - next_plain[1][0].logprob) < NEAR


# What is guessed


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory, opened: Callable[[Path], Asked]) -> Asked:
    path = tmp_path_factory.mktemp("models") / "scripted.gguf"
    scripted_model(path, WORDS)
    return opened(path)


def test_an_answer_that_repeats_its_prompt_is_drafted(scripted: Asked, eager: None) -> None:
    scripted.begin()
    answer = scripted.finish(job(f"Say: {SCRIPT}Now!"))
    assert answer.eval_tokens == len(WORDS) + 1
    assert len(WORDS) - 10 < answer.accepted <= answer.drafted
    assert scripted.steps < len(WORDS) // 2


@pytest.mark.parametrize(("most", "steps"), [(0, len(WORDS)), (1, len(WORDS) // 2), (5, len(WORDS) // 6)])
def test_an_option_bounds_drafts(scripted: Asked, eager: None, most: int, steps: int) -> None:
    scripted.begin()
    answer = scripted.finish(job(f"Say: {SCRIPT}Now!", draft_num_predict=most))
    assert answer.eval_tokens == len(WORDS) + 1
    assert bool(answer.drafted) == bool(most)
    assert scripted.steps >= steps


def test_a_seed_is_drafted_for_only_when_that_is_asked(scripted: Asked, eager: None) -> None:
    scripted.begin()
    prompt = f"Say: {SCRIPT}Now!"
    assert scripted.finish(job(prompt, temperature=0.5, seed=1)).drafted == 0
    assert scripted.finish(job(prompt, temperature=0.5, seed=1, draft_num_predict=8)).drafted
    assert scripted.finish(job(prompt, temperature=0.5)).drafted
    assert scripted.finish(job(prompt, temperature=0.0, seed=1)).drafted


def test_what_was_said_is_guessed_for_its_own_key_alone(scripted: Asked, eager: None) -> None:
    scripted.begin()
    first = scripted.finish(job("Hello", owner="one"))
    assert first.drafted == 0
    assert scripted.finish(job("Good morning", owner="two")).drafted == 0
    again = scripted.finish(job("Good evening", owner="one"))
    assert again.accepted > 10
    assert again.eval_tokens == first.eval_tokens


@pytest.mark.parametrize(
    ("make", "rollback"), [(recurrent_model, 7), *((make, 0) for make in ROLLED.values())]
)
def test_memory_that_cannot_be_cut_has_no_drafts(
    tmp_path: Path, opened: Callable[..., Asked], make: Callable[[Path], None], rollback: int, eager: None
) -> None:
    make(tmp_path / "m.gguf")
    asked = opened(tmp_path / "m.gguf", rollback=rollback)
    assert asked.finish(job("abcdef" * 20, num_predict=30)).drafted == 0


@pytest.mark.parametrize("make", ROLLED.values(), ids=ROLLED)
def test_a_draft_is_no_longer_than_a_state_is_rolled_back(
    tmp_path: Path, opened: Callable[..., Asked], make: Callable[[Path], None], eager: None
) -> None:
    make(tmp_path / "m.gguf")
    asked = opened(tmp_path / "m.gguf", rollback=3)
    one = job([*range(10, 70)], num_predict=60)
    (plain,) = asked.answers([one], NOTHING)
    asked.begin()
    (drafted,) = asked.answers([one], [plain[-1][-1][-60:]])
    assert drafted[0] == plain[0]
    assert asked.steps >= 60 // 4
    assert asked.finishes()[0].accepted > 15


@pytest.mark.parametrize("make", ROLLED.values(), ids=ROLLED)
def test_a_state_is_rolled_back_only_of_a_sequence_that_runs_alone(
    tmp_path: Path, opened: Callable[..., Asked], make: Callable[[Path], None], eager: None
) -> None:
    """libllama loses the states of a divided batch's sequences when it moves them."""
    make(tmp_path / "m.gguf")
    asked = opened(tmp_path / "m.gguf", rollback=7)
    together = [job([seed + 5, *range(10, 50)], num_predict=40, logprobs=2) for seed in range(3)]
    long = job([*range(10, 80)], num_predict=80, logprobs=2)
    plain = asked.answers([*together, long], NOTHING)
    asked.begin()
    known = [outcome[-1][-1][-outcome[-1][1] :] for outcome in plain]
    drafted = asked.answers([*together, long], known, seed=3)
    assert [outcome[0] for outcome in drafted] == [outcome[0] for outcome in plain]
    *others, alone = sorted(asked.finishes(), key=lambda finish: finish.eval_tokens)
    assert [finish.drafted for finish in others] == [0] * 3
    assert alone.accepted > 0


def test_what_a_grammar_forces_is_drafted(chance: Asked, eager: None) -> None:
    held = Grammar('start: "One text that nobody can change, then " ("yes" | "no") " and as long an end."')
    chance.begin()
    plain = chance.answers([job("x", grammar=held, draft_num_predict=0, logprobs=2)])
    steps = chance.steps
    assert re.fullmatch("One text that nobody can change, then (yes|no) and .* end.", plain[0][0])
    chance.begin()
    assert chance.answers([job("x", grammar=held, logprobs=2)]) == plain
    assert chance.steps < steps // 4


def test_a_pool_without_room_for_a_draft_is_room_for_an_answer(
    tmp_path: Path, opened: Callable[[Path], Asked], eager: None
) -> None:
    scripted_model(tmp_path / "m.gguf", WORDS)
    asked = opened(tmp_path / "m.gguf")
    asked.context.close()
    asked.context = Context(asked.model, n_ctx=256, n_batch=96, n_seq=6, threads=1)
    asked.begin()
    prompts = [f"{number}{SCRIPT}!" for number in range(3)]
    outcomes = asked.answers([job(prompt, num_ctx=256) for prompt in prompts])
    assert [outcome[0] for outcome in outcomes] == [SCRIPT] * 3


def test_drafts_and_a_long_prompt_share_steps(scripted: Asked, eager: None) -> None:
    scripted.begin()
    drafted, plain = scripted.answers([job(f"Say: {SCRIPT}Now!"), job("x" * 450)])
    assert drafted[0] == plain[0] == SCRIPT
    beside = scripted.steps
    scripted.begin()
    scripted.answers([job(f"Say: {SCRIPT}Now!"), job("x" * 450)], NOTHING)
    assert beside < scripted.steps


async def test_an_engine_drafts_by_itself(tmp_path: Path) -> None:
    scripted_model(tmp_path / "m.gguf", WORDS)
    async with loaded(tmp_path / "m.gguf") as engine:
        for number in range(20):  # what pays is measured, and this machine may be busy
            answers = await asyncio.gather(*(ask(engine, f"{number}{each}{SCRIPT}!") for each in "ab"))
            assert [answer.text for answer in answers] == [SCRIPT] * 2
            if any(answer.finish.accepted for answer in answers):
                return
    raise AssertionError("nothing was ever drafted")


@pytest.mark.parametrize("make", ROLLED.values(), ids=ROLLED)
async def test_an_engine_drafts_for_a_model_whose_state_it_rolls_back(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "m.gguf")
    async with loaded(tmp_path / "m.gguf", rollback=7) as engine:
        prompt = "It was said before. " * 4
        plain = await ask(engine, prompt, num_predict=60, logprobs=2, draft_num_predict=0)
        for number in range(20):  # what pays is measured, and this machine may be busy
            # Behind a part of the prompt, all of it, and the answer before: what was drafted is in memory.
            answer = await ask(engine, prompt, num_predict=60, logprobs=2)
            assert answer.agrees(plain)
            more = answer.finish.tokens[: -1 - number % 7]
            turn = await ask(engine, more, num_predict=8, logprobs=2)
            again = await ask(engine, more, num_predict=8, logprobs=2, draft_num_predict=0)
            assert turn.agrees(again)
            if answer.finish.accepted:
                return
    raise AssertionError("nothing was ever drafted")


# The parts


@given(text=st.lists(st.integers(0, 3), max_size=60), tail=st.lists(st.integers(0, 3), max_size=8))
def test_the_place_that_is_found_is_the_one_most_alike(text: list[int], tail: list[int]) -> None:
    import numpy as np

    def alike(place: int) -> int:
        count = 0
        while count < min(place, len(tail)) and text[place - 1 - count] == tail[-1 - count]:
            count += 1
        return count

    best = max(((alike(place), place) for place in range(1, len(text))), default=(0, 0))
    place, count = TokenText(text).find(np.array(tail, np.int32))
    if best[0] < 3:
        assert (place, count) == (0, 0)
    elif text.count(tail[-1]) < 32:
        assert (count, place) == best


@given(start=st.integers(5, 30), removed=st.integers(0, 15), added=st.integers(0, 8))
def test_a_text_is_followed_beyond_an_edit(start: int, removed: int, added: int) -> None:
    source, nothing, guessed = [*range(100, 160)], TokenText(), [0]
    drafter = Drafter([*source, 1], most=5)
    end = start + removed
    for token in (*source[:start], *range(200, 200 + added), source[end]):
        drafter.take(token)
        guessed, _ = drafter.draft(5, forced=[], shared=nothing)
    assert guessed == source[end + 1 : end + 6]


def test_a_text_that_is_another_is_not_followed() -> None:
    drafter, nothing, guessed = Drafter([*range(100, 160)], most=5), TokenText(), [0]
    for token in (*range(100, 110), *range(200, 220)):
        drafter.take(token)
        guessed, _ = drafter.draft(5, forced=[], shared=nothing)
    assert guessed == []


def test_what_follows_goes_round_in_a_loop_but_never_into_another_answer() -> None:
    text = TokenText([5, 1, 2, 3, 1, 2, 3])
    assert text.continuation(4, 7) == [1, 2, 3, 1, 2, 3, 1]
    shared = SharedTexts()
    shared.add("me", [1, 2, 3])
    shared.add("me", [4, 5])
    assert shared.of("me").continuation(1, 9) == [2, 3]
    assert len(shared.of("you")) == 0


def test_what_is_remembered_is_bounded() -> None:
    shared = SharedTexts()
    for number in range(200):
        shared.add("me", [number] * 1000)
    assert len(shared.of("me")) < 60_000
    for number in range(100):
        shared.add(str(number), [1, 2, 3])
    assert len(shared.of("me")) == 0


def test_a_draft_is_as_long_as_pays() -> None:
    flat, steep = Costs(), Costs()
    for rows in (1, 2, 4, 8, 16, 32):
        flat.learn(rows, 1000)
        steep.learn(rows, 1000 * rows)
    assert best_length([0.9] * drafts.LONGEST, flat, rows=1, tokens=1) == drafts.LONGEST
    assert best_length([0.9] * drafts.LONGEST, steep, rows=1, tokens=1) == 0
    assert best_length([], flat, rows=1, tokens=1) == 0
    some = Costs()
    for rows, took in ((1, 1000), (4, 1100), (8, 1300), (16, 4000), (32, 8000)):
        some.learn(rows, took)
    assert best_length([0.95**n for n in range(1, 32)], some, rows=1, tokens=1) == 7
    assert best_length([0.02] * 7, some, rows=1, tokens=1) == 0


def test_a_step_without_drafts_is_known_before_there_are_any() -> None:
    costs = Costs()
    costs.learn(200, 1_000_000)
    assert best_length([1.0] * 7, costs, rows=1, tokens=1) == 0
    costs.learn(1, 20_000)
    assert best_length([1.0] * 7, costs, rows=1, tokens=1) == 7


def test_a_cost_that_was_not_seen_for_long_is_tried_again() -> None:
    costs = Costs()
    costs.learn(1, 1000)
    costs.learn(8, 1_000_000)
    assert best_length([1.0] * 7, costs, rows=1, tokens=1) == 0
    for _ in range(1000):
        costs.learn(1, 1000)
    assert best_length([1.0] * 7, costs, rows=1, tokens=1) == 7
