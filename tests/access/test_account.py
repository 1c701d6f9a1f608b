"""A key's limits, against a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.access import Key, TooMany, new_key
from puna.access.account import Account
from puna.access.usage import DAY, KeyUsage


@dataclass
class Clock:
    now: float = 10 * DAY

    def __call__(self) -> float:
        return self.now


def account(clock: Clock) -> Account:
    return Account(clock, clock)


@contextmanager
def request(taken: Account, key: Key) -> Iterator[None]:
    taken.begin(key)
    try:
        yield
    finally:
        taken.end()


def ask(taken: Account, key: Key) -> int:
    """One request that ends at once: 0, or after how many seconds to come again."""
    try:
        with request(taken, key):
            return 0
    except TooMany as error:
        return error.retry_after


@given(st.integers(1, 5), st.lists(st.floats(0, 40), max_size=60))
def test_no_minute_has_more_requests_than_allowed_and_no_request_is_refused_for_nothing(
    most: int, steps: list[float]
):
    clock, key = Clock(), new_key("ann", requests_per_minute=most)[0]
    taken, let_in = account(clock), list[float]()
    for step in steps:
        clock.now += step
        recent = [moment for moment in let_in if moment > clock.now - 60]
        wait = ask(taken, key)
        assert (wait == 0) == (len(recent) < most)
        if not wait:
            let_in.append(clock.now)


@given(st.integers(1, 5), st.lists(st.floats(0, 15), min_size=6, max_size=20))
def test_who_waits_as_long_as_told_is_let_in_and_a_second_less_is_too_short(most: int, steps: list[float]):
    clock, key = Clock(), new_key("ann", requests_per_minute=most)[0]
    taken = account(clock)
    for step in steps:
        clock.now += step
        wait = ask(taken, key)
        if wait:
            assert 1 <= wait <= 60
            clock.now += wait - 1.001
            assert wait <= 1 or ask(taken, key)
            clock.now += 1.001
            assert not ask(taken, key)


def test_requests_at_once_are_counted_until_their_end():
    key, taken = new_key("ann", concurrent=2)[0], account(Clock())
    with ExitStack() as running:
        for _ in range(2):
            running.enter_context(request(taken, key))
        with pytest.raises(TooMany) as refused:
            running.enter_context(request(taken, key))
        assert refused.value.retry_after == 1
    assert not ask(taken, key)


def test_a_request_that_fails_has_ended_too():
    key, taken = new_key("ann", concurrent=1)[0], account(Clock())
    with pytest.raises(ValueError, match="broken"), request(taken, key):
        raise ValueError("broken")
    assert not ask(taken, key)


def test_tokens_last_for_a_day():
    clock, key = Clock(), new_key("ann", tokens_per_day=100)[0]
    taken = account(clock)
    taken.spend(99)
    assert not ask(taken, key)
    taken.spend(1)
    clock.now += DAY / 4
    assert ask(taken, key) == DAY * 3 // 4
    clock.now += DAY * 3 / 4
    assert not ask(taken, key)


def test_tokens_that_were_written_down_count():
    clock, key = Clock(), new_key("ann", tokens_per_day=100)[0]
    taken = account(clock)
    taken.saved = KeyUsage(last=1, day=10, tokens=60)
    taken.spend(40)
    assert ask(taken, key)
    assert taken.take().tokens == 40
    assert ask(taken, key), "forgotten while they are written down"
    taken.saved = KeyUsage(last=1, day=9, tokens=1000)
    assert not ask(taken, key)


def test_a_refused_request_is_no_use():
    clock, key = Clock(), new_key("ann", requests_per_minute=1)[0]
    taken = account(clock)
    ask(taken, key)
    taken.take()
    clock.now += 1
    assert ask(taken, key)
    assert taken.take() == KeyUsage()


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100)), max_size=20))
def test_use_is_the_sum_of_its_day_in_whatever_order_it_comes(spent: list[tuple[int, int]]):
    total = KeyUsage()
    for day, tokens in spent:
        total.add(KeyUsage(last=day * DAY, day=day, tokens=tokens))
    last = max((day for day, _ in spent), default=0)
    assert total.on(last) == sum(tokens for day, tokens in spent if day == last)
