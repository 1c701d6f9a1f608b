"""What is shared or copied of a sequence that was rolled back is what it went back to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from puna.engine import memory
from puna.engine.libllama import Context, LlamaModel
from puna.engine.memory import NO_SLOT, ContextMemory, SequenceMemory, spare_slots
from tests.engine.asking import NEAR
from tests.hybrid_models import ROLLED
from tests.models import recurrent_model

TEXT = [3 + number * 37 % 500 for number in range(320)]
FIRST = 300
"""Tokens that are copied on their own."""
NEXT, WRONG = 11, [9, 8, 7, 6, 5]


class Forgetful(Context):
    """One that may find no memory for snapshots."""

    starved = False

    def snapshot(self, sequence: int) -> NDArray[np.uint8]:
        if self.starved:
            raise MemoryError
        return super().snapshot(sequence)


class Held:
    """Sequences of a model, evaluated by hand."""

    def __init__(self, path: Path, rollback: int = 7) -> None:
        self.model = LlamaModel(str(path))
        slots = 4 + spare_slots(self.model)
        self.context = Forgetful(
            self.model, n_ctx=2048, n_batch=512, n_seq=slots, threads=1, rollback=rollback
        )
        self.begin()

    def begin(self) -> None:
        """With nothing in memory."""
        self.context.clear()
        self.context.starved = False
        self.memory: ContextMemory = memory.of(self.model, self.context)

    def evaluate(self, slot: int, tokens: list[int], start: int) -> NDArray[np.float32]:
        """The logits of the last one."""
        context, size = self.context, len(tokens)
        context.tokens[:size] = tokens
        context.positions[:size] = range(start, start + size)
        context.sequences[:size] = slot
        context.wants_output[:size] = 0
        context.wants_output[size - 1] = 1
        assert context.decode(size) == 0
        context.synchronize()
        return context.logits(size - 1).copy()

    def rolled(self) -> SequenceMemory:
        """A sequence of the text, in two copies' worth, behind which wrong tokens were evaluated."""
        held = SequenceMemory(slot=0)
        self.evaluate(0, TEXT[:FIRST], 0)
        held.length = FIRST
        self.memory.drop(held, 0, int)
        self.save(held)
        self.evaluate(0, [*TEXT[FIRST:], *WRONG], FIRST)
        held.length = len(TEXT)
        self.memory.drop(held, len(WRONG), int)
        assert held.length == len(TEXT)
        return held

    def save(self, held: SequenceMemory) -> None:
        size = self.memory.saved_size(held)
        self.memory.save(held, size, np.array(TEXT[: held.length], np.int32).tobytes())

    def follows(self, slot: int) -> bool:
        """Whether what comes next in a slot is what follows the text, and not what follows another."""
        found = self.evaluate(slot, [NEXT], len(TEXT))
        self.context.clear()
        after = self.evaluate(0, [*TEXT, NEXT], 0)
        self.context.clear()
        other = self.evaluate(0, [*TEXT, *WRONG, NEXT], 0)
        assert abs(after - other).max() > 10 * NEAR
        return bool(abs(after - found).max() < NEAR)


@pytest.fixture(scope="module", params=ROLLED.values(), ids=list(ROLLED))
def kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    make: Callable[[Path], None] = request.param
    path = tmp_path_factory.mktemp("rollback") / "m.gguf"
    make(path)
    held = Held(path)
    yield held
    held.context.close()
    held.model.close()


@pytest.fixture
def rolled(kept: Held) -> SequenceMemory:
    kept.begin()
    return kept.rolled()


def test_it_goes_on_itself(kept: Held, rolled: SequenceMemory) -> None:
    assert kept.follows(rolled.slot)


def test_another_begins_with_it(kept: Held, rolled: SequenceMemory) -> None:
    assert kept.memory.branch(rolled, 1, len(TEXT), int)
    assert kept.follows(1)


def test_both_go_on_where_another_began_with_it(kept: Held, rolled: SequenceMemory) -> None:
    assert kept.memory.branch(rolled, 1, len(TEXT), int)
    kept.evaluate(1, WRONG, len(TEXT))
    assert kept.follows(rolled.slot)


@pytest.mark.parametrize("starved", [False, True])
def test_its_copy_is_of_what_it_went_back_to(kept: Held, rolled: SequenceMemory, starved: bool) -> None:
    kept.context.starved = starved
    kept.save(rolled)
    assert len(rolled.segments) == 2 - starved
    kept.memory.forget(rolled.slot)
    rolled.slot = NO_SLOT
    assert kept.memory.branch(rolled, 2, len(TEXT), int)
    assert kept.follows(2)


def test_without_memory_nobody_begins_with_it_and_it_goes_on(kept: Held, rolled: SequenceMemory) -> None:
    kept.context.starved = True
    assert not kept.memory.branch(rolled, 1, len(TEXT), int)
    assert kept.follows(rolled.slot)


def test_a_snapshot_is_of_what_it_went_back_to(kept: Held, rolled: SequenceMemory) -> None:
    rolled.snapshots = [memory.Snapshot(len(TEXT), kept.memory.snapshot(rolled, len(TEXT), int))]
    kept.evaluate(rolled.slot, WRONG, len(TEXT))
    rolled.length += len(WRONG)
    kept.memory.drop(rolled, 0, int)
    assert kept.memory.branch(rolled, 1, len(TEXT), int)
    assert kept.follows(1)


def test_what_is_out_of_reach_is_cut_to_the_last_snapshot(kept: Held) -> None:
    """A restored sequence has only the states that are evaluated behind it."""
    kept.begin()
    held = SequenceMemory(slot=0)
    kept.evaluate(0, TEXT, 0)
    held.length = len(TEXT)
    kept.memory.drop(held, 0, int)
    held.snapshots = [memory.Snapshot(held.length, kept.memory.snapshot(held, held.length, int))]
    kept.evaluate(0, WRONG * 3, len(TEXT))
    held.length += 2
    kept.memory.drop(held, 3 * len(WRONG) - 2, int)
    assert held.length == len(TEXT)
    assert kept.follows(0)


def test_architectures_that_keep_no_states_are_not_rolled_back(tmp_path: Path) -> None:
    recurrent_model(tmp_path / "m.gguf")
    held = Held(tmp_path / "m.gguf")
    assert held.context.rollback == held.memory.rollback(1) == 0
    held.context.close()
    held.model.close()


def test_only_one_that_is_evaluated_alone_is_rolled_back(kept: Held) -> None:
    assert [kept.memory.rollback(sequences) for sequences in (1, 2)] == [7, 0]
