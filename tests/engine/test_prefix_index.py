"""The prefix index against the obvious way, and with more sequences than it may look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from puna.engine.intake import Intake
from puna.engine.memory import Segment, SequenceMemory
from puna.engine.memory.full_attention import FullAttention
from puna.engine.messages import Generate
from puna.engine.prefix_index import PrefixIndex, Retained
from puna.engine.prefix_tree import common_prefix, pack
from puna.engine.sequence import Sequence
from tests.engine.asking import job
from tests.engine.looped import FEW, Asked

HEAD = [3 + number % 200 for number in range(300)]


class Counting(FullAttention):
    """Counts what is looked at."""

    looked = 0

    def usable(self, memory: SequenceMemory, max_length: int) -> int:
        self.looked += 1
        return super().usable(memory, max_length)


def retain(index: PrefixIndex, tokens: list[int]) -> None:
    """A sequence in host memory."""
    length = len(tokens)
    segment = Segment(0, pack(tokens), data=np.zeros(1, np.uint8))
    memory = SequenceMemory(length=length, segments=[segment], copied=length)
    index.add_retained(Retained(index.next_key(), length, None, memory, ""), tokens)


def asked(model: Asked, tokens: list[int]) -> Sequence:
    return Intake(model.model, None, num_ctx=512).sequence(Generate(0, job(tokens)))


@pytest.fixture(scope="module")
def model(shaped: Path, opened: Callable[[Path], Asked]) -> Asked:
    return opened(shaped)


@given(
    kept=st.lists(st.lists(st.integers(3, 4), min_size=40, max_size=50), max_size=20),
    prompt=st.lists(st.integers(3, 4), min_size=2, max_size=60),
)
@FEW
def test_the_longest_prefix_is_found(model: Asked, kept: list[list[int]], prompt: list[int]) -> None:
    index = PrefixIndex(FullAttention(model.context))
    kept += [prompt[:length] + [9] * 10 for length in (5, 33, 40)]
    for tokens in kept:
        retain(index, tokens)
    found = index.find(asked(model, prompt))
    shares = [min(common_prefix(pack(tokens), pack(prompt)), len(prompt) - 1) for tokens in kept]
    assert found.matched == max(shares)
    worth = [n for n, tokens in zip(shares, kept, strict=True) if n >= 32 or 2 * n >= len(tokens)]
    assert found.length == max(worth, default=0)


def test_of_many_with_the_same_head_few_are_looked_at(model: Asked) -> None:
    memory = Counting(model.context)
    index = PrefixIndex(memory)
    retain(index, [*HEAD, 7, 7, 8])
    for number in range(500):
        retain(index, [*HEAD, 250 + number % 7, 3 + number])
    for prompt, length in (([*HEAD, 5], len(HEAD)), ([*HEAD, 7, 7, 7], len(HEAD) + 2)):
        memory.looked = 0
        assert index.find(asked(model, prompt)).length == length
        assert memory.looked < 100
