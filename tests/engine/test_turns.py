"""Whose turn it is, in what a step takes and in who gets a place."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.engine.turns import order, shares
from puna.types import Delta, Finish, Turn
from tests.engine.asking import job, loaded

USERS = st.sampled_from("abc")
TURNS = st.lists(st.builds(Turn, USERS, st.integers(-2, 2)), max_size=12)


@given(TURNS, TURNS)
def test_nobody_is_served_before_a_user_with_fewer_places(waiting: list[Turn], running: list[Turn]):
    found = order(waiting, running)
    assert sorted(found) == list(range(len(waiting)))
    places, served = Counter(turn.user for turn in running), []
    for at in found:
        turn = waiting[at]
        rest = [waiting[other] for other in range(len(waiting)) if other not in served and other != at]
        alike = [other for other in rest if max(other.priority, 0) == max(turn.priority, 0)]
        assert all(max(other.priority, 0) >= max(turn.priority, 0) for other in rest)
        assert all(places[other.user] >= places[turn.user] for other in alike)
        assert all(other.priority >= turn.priority for other in rest if other.user == turn.user)
        served.append(at)
        places[turn.user] += 1


@given(st.lists(st.integers(-2, 2)), TURNS)
def test_one_user_is_served_in_order_of_arrival(priorities: list[int], running: list[Turn]):
    waiting = [Turn("a", priority) for priority in priorities]
    assert order(waiting, running) == sorted(range(len(waiting)), key=lambda at: priorities[at])


@given(st.lists(st.tuples(st.integers(0, 100), USERS), max_size=10), st.integers(0, 300))
def test_what_a_step_takes_is_split_by_user(wanted: list[tuple[int, str]], tokens: int):
    sizes, users = [size for size, _ in wanted], [user for _, user in wanted]
    given = shares(sizes, users, tokens)
    assert all(0 <= got <= size for got, size in zip(given, sizes, strict=True))
    assert sum(given) == min(tokens, sum(sizes))
    got, asked = Counter[str](), Counter[str]()
    for user, part, size in zip(users, given, sizes, strict=True):
        got[user] += part
        asked[user] += size
    for user in asked:
        assert got[user] >= min(asked[user], tokens // len(asked))


async def _firsts(
    path: Path, parallel: int, asked: list[tuple[str, str]], together: int, priority: int = 0
) -> list[int]:
    """The requests in the order of their first tokens.

    `priority` is that of all but the first `together`. The engine stands still until all are on their way,
    and then reads little in a step, so that none of the first is over before the last arrives.
    """
    firsts: list[int] = []
    async with loaded(path, num_ctx=2048, parallel=parallel, num_batch=64) as engine:

        async def ask(number: int) -> Finish:
            user, prompt = asked[number]
            wanted = job(
                prompt, num_predict=3, turn=Turn(user, priority if number >= together else 0), owner=user
            )
            async for step in engine.generate(wanted):
                if isinstance(step, Delta) and number not in firsts:
                    firsts.append(number)
                if isinstance(step, Finish):
                    return step
            raise AssertionError("no end")

        os.kill(engine.pid, signal.SIGSTOP)
        tasks = [asyncio.create_task(ask(number)) for number in range(len(asked))]
        await asyncio.sleep(0.01)
        os.kill(engine.pid, signal.SIGCONT)
        ends = await asyncio.gather(*tasks)
        assert all(end.eval_tokens == 3 for end in ends)
        # What a prompt that gave up its place had read of itself is not known from before.
        assert all(end.cached_tokens < 32 for end in ends)
    return firsts


def prompt(number: int, words: int) -> str:
    return " ".join(f"{number} and {word}" for word in range(words))


@pytest.mark.parametrize("parallel", [1, 2])
async def test_a_users_many_long_prompts_do_not_hold_up_another(shaped: Path, parallel: int) -> None:
    asked = [("a", prompt(number, 250)) for number in range(5)] + [("b", "A short question?")]
    firsts = await _firsts(shaped, parallel, asked, 5)
    assert firsts.index(5) <= parallel - 1


async def test_two_users_that_both_ask_at_length_are_both_served(shaped: Path) -> None:
    asked = [("ab"[number % 2], prompt(number, 100 + 40 * number)) for number in range(6)]
    firsts = await _firsts(shaped, 1, asked, 1)
    assert sorted(firsts) == list(range(6))


async def test_a_batch_takes_no_place_of_a_prompt_that_somebody_waits_for(shaped: Path) -> None:
    asked = [("a", prompt(0, 250)), ("b", "A short question?")]
    assert await _firsts(shaped, 1, asked, 1) == [1, 0]
    assert await _firsts(shaped, 1, asked, 1, priority=1) == [0, 1]
