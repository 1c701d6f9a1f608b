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


class Evaluator:
    """A model's context memory, and its context to evaluate sequences by hand."""

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
        self.context_memory: ContextMemory = memory.of(self.model, self.context)

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
        sequence = SequenceMemory(slot=0)
        self.evaluate(0, TEXT[:FIRST], 0)
        sequence.length = FIRST
        self.context_memory.roll_back(sequence, 0, int)
        self.save(sequence)
        self.evaluate(0, [*TEXT[FIRST:], *WRONG], FIRST)
        sequence.length = len(TEXT)
        self.context_memory.roll_back(sequence, len(WRONG), int)
        assert sequence.length == len(TEXT)
        return sequence

    def save(self, sequence: SequenceMemory) -> None:
        size = self.context_memory.host_copy_size(sequence)
        self.context_memory.copy_to_host(
            sequence, size, np.array(TEXT[: sequence.length], np.int32).tobytes()
        )

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
def evaluator(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Evaluator]:
    make: Callable[[Path], None] = request.param
    path = tmp_path_factory.mktemp("rollback") / "m.gguf"
    make(path)
    evaluator = Evaluator(path)
    yield evaluator
    evaluator.context.close()
    evaluator.model.close()


@pytest.fixture
def rolled(evaluator: Evaluator) -> SequenceMemory:
    evaluator.begin()
    return evaluator.rolled()


def test_it_goes_on_itself(evaluator: Evaluator, rolled: SequenceMemory) -> None:
    assert evaluator.follows(rolled.slot)


def test_another_begins_with_it(evaluator: Evaluator, rolled: SequenceMemory) -> None:
    assert evaluator.context_memory.branch(rolled, 1, len(TEXT), int)
    assert evaluator.follows(1)


def test_both_go_on_where_another_began_with_it(evaluator: Evaluator, rolled: SequenceMemory) -> None:
    assert evaluator.context_memory.branch(rolled, 1, len(TEXT), int)
    evaluator.evaluate(1, WRONG, len(TEXT))
    assert evaluator.follows(rolled.slot)


@pytest.mark.parametrize("starved", [False, True])
def test_its_copy_is_of_what_it_went_back_to(
    evaluator: Evaluator, rolled: SequenceMemory, starved: bool
) -> None:
    evaluator.context.starved = starved
    evaluator.save(rolled)
    assert len(rolled.segments) == 2 - starved
    evaluator.context_memory.clear(rolled.slot)
    rolled.slot = NO_SLOT
    assert evaluator.context_memory.branch(rolled, 2, len(TEXT), int)
    assert evaluator.follows(2)


def test_without_memory_nobody_begins_with_it_and_it_goes_on(
    evaluator: Evaluator, rolled: SequenceMemory
) -> None:
    evaluator.context.starved = True
    assert not evaluator.context_memory.branch(rolled, 1, len(TEXT), int)
    assert evaluator.follows(rolled.slot)


def test_a_snapshot_is_of_what_it_went_back_to(evaluator: Evaluator, rolled: SequenceMemory) -> None:
    rolled.snapshots = [memory.Snapshot(len(TEXT), evaluator.context_memory.snapshot(rolled, len(TEXT), int))]
    evaluator.evaluate(rolled.slot, WRONG, len(TEXT))
    rolled.length += len(WRONG)
    evaluator.context_memory.roll_back(rolled, 0, int)
    assert evaluator.context_memory.branch(rolled, 1, len(TEXT), int)
    assert evaluator.follows(1)


def test_what_is_out_of_reach_is_cut_to_the_last_snapshot(evaluator: Evaluator) -> None:
    """A restored sequence has only the states that are evaluated behind it."""
    evaluator.begin()
    sequence = SequenceMemory(slot=0)
    evaluator.evaluate(0, TEXT, 0)
    sequence.length = len(TEXT)
    evaluator.context_memory.roll_back(sequence, 0, int)
    sequence.snapshots = [
        memory.Snapshot(sequence.length, evaluator.context_memory.snapshot(sequence, sequence.length, int))
    ]
    evaluator.evaluate(0, WRONG * 3, len(TEXT))
    sequence.length += 2
    evaluator.context_memory.roll_back(sequence, 3 * len(WRONG) - 2, int)
    assert sequence.length == len(TEXT)
    assert evaluator.follows(0)


def test_architectures_that_keep_no_states_are_not_rolled_back(tmp_path: Path) -> None:
    recurrent_model(tmp_path / "m.gguf")
    evaluator = Evaluator(tmp_path / "m.gguf")
    assert evaluator.context.rollback == evaluator.context_memory.max_rollback(1) == 0
    evaluator.context.close()
    evaluator.model.close()


def test_only_one_that_is_evaluated_alone_is_rolled_back(evaluator: Evaluator) -> None:
    assert [evaluator.context_memory.max_rollback(sequences) for sequences in (1, 2)] == [7, 0]
