"""What a sequence takes over from others is what it would have evaluated itself, in every kind of memory."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from numpy.typing import NDArray

from puna.engine.intake import Intake
from puna.engine.libllama import Context, LlamaModel
from puna.engine.loop import BatchLoop
from puna.engine.memory import Disk, spare_slots
from puna.engine.messages import AnswerText, Event, Finished, Generate
from tests.engine.asking import Answer, ask, job, loaded
from tests.engine.looped import Guesser

HEAD = "You are a careful assistant who answers in short sentences, and never says more than is asked. " * 8


class Starved(Context):
    """One that may find no memory for copies."""

    starved = False

    def save(self, sequence: int, size: int) -> NDArray[np.uint8]:
        if self.starved:
            raise MemoryError
        return super().save(sequence, size)

    def snapshot(self, sequence: int) -> NDArray[np.uint8]:
        if self.starved:
            raise MemoryError
        return super().snapshot(sequence)


class Asked:
    """A model's batch loop, fed by hand."""

    def __init__(
        self,
        path: Path,
        *,
        cache: int,
        pool: int,
        slots: int = 6,
        disk: Callable[[Callable[[Callable[[], None]], None]], Disk] | None = None,
    ) -> None:
        self._slots, self._cache, self._disk = slots, cache, disk
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.model = LlamaModel(str(path))
        self.context = Starved(
            self.model,
            n_ctx=pool,
            n_batch=96,
            n_seq=slots + spare_slots(self.model),
            threads=1,
            rollback=7,
        )
        self.events: list[Event] = []
        self.start()
        self.intake = Intake(self.model, None, num_ctx=min(512, pool))
        self.count = 0

    def start(self) -> None:
        """Begin with an empty memory, and what is on disk."""
        self.context.clear()
        self.loop = BatchLoop(
            self.model,
            self.context,
            slots=self._slots,
            parallel=self._slots - 2,
            cache=self._cache,
            emit=self.events.append,
            disk=self._disk and self._disk(self._inbox.put),
        )

    def step(self) -> bool:
        """One step, behind what has come meanwhile; False when all is done."""
        while not self._inbox.empty():
            self._inbox.get()()
        if self.loop.busy:
            self.loop.step()
        elif self.loop.waits:
            self._inbox.get()()
        else:
            return False
        return True

    def submit(self, prompt: list[int], answer: int, known: Answer | None = None) -> int:
        """`known`: what the answer will be, for drafts that are right at times; there are none without."""
        self.count += 1
        asked = job(prompt, num_predict=answer, logprobs=2)
        sequence = self.intake.sequence(Generate(self.count, asked))
        told = known.finish.tokens[-known.finish.eval_tokens :] if known else []
        sequence.drafter = Guesser(told, self.count) if known else None  # type: ignore[assignment]
        self.loop.submit(sequence)
        return self.count

    def answers(self) -> Iterator[tuple[int, Answer]]:
        """Those that are complete."""
        for finished in [event for event in self.events if isinstance(event, Finished)]:
            said = [e for e in self.events if isinstance(e, AnswerText) and e.request == finished.request]
            logprobs = [report for event in said for report in event.logprobs]
            self.events[:] = [e for e in self.events if e not in said and e is not finished]
            yield finished.request, Answer([event.text for event in said], logprobs, finished.finish)

    def close(self) -> None:
        self.context.close()
        self.model.close()


class Sharing(RuleBasedStateMachine):
    """Prompts that begin as earlier ones did, on a crowded loop that may start anew; each alone, too.

    Their answers are drafted; those alone are not.
    """

    path: Path

    @initialize(
        cache=st.sampled_from([0, 60_000, 1 << 26]),
        pool=st.sampled_from([512, 2048]),
        limit=st.sampled_from([None, 0, 200_000, 1 << 26]),
    )
    def load(self, cache: int, pool: int, limit: int | None) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.shared = Asked(
            self.path,
            cache=cache,
            pool=pool,
            disk=None if limit is None else lambda post: Disk(self.folder, self.path.name, limit, post=post),
        )
        self.alone = Asked(self.path, cache=0, pool=512, slots=3)
        self.prompts: dict[int, tuple[list[int], int, Answer]] = {}
        self.texts: list[list[int]] = [[1]]

    @rule(
        data=st.data(),
        new=st.lists(st.integers(3, 258), min_size=1, max_size=3),
        times=st.sampled_from([1, 5, 40]),
        answer=st.integers(1, 40),
    )
    def submit(self, data: st.DataObject, new: list[int], times: int, answer: int) -> None:
        text = data.draw(st.sampled_from(self.texts))
        kept = data.draw(st.integers(0, len(text)) | st.just(len(text)))
        prompt = (text[:kept] + new * times)[-400:]
        known = self.anew(prompt, answer)
        self.texts.append(known.finish.tokens)
        self.prompts[self.shared.submit(prompt, answer, known)] = prompt, answer, known

    @rule(data=st.data())
    def submit_again(self, data: st.DataObject) -> None:
        if self.prompts:
            prompt, answer, known = data.draw(st.sampled_from(list(self.prompts.values())))
            self.prompts[self.shared.submit(prompt, answer, known)] = prompt, answer, known

    @rule(steps=st.sampled_from([1, 3, 30, 300]))
    def step(self, steps: int) -> None:
        for _ in range(steps):
            self.shared.step()

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        if self.prompts:
            request = data.draw(st.sampled_from(list(self.prompts)))
            self.shared.loop.cancel(request)

    @rule(long=st.booleans())
    def rest(self, long: bool) -> None:
        if not self.shared.loop.busy:
            while self.shared.loop.work_while_idle(long=long):
                pass

    @rule(orderly=st.booleans())
    def start_anew(self, orderly: bool) -> None:
        """After an engine that closed, or one that just ended; requests under way are lost."""
        self.answers_agree()
        if orderly:
            self.shared.loop.close()
        self.shared.start()

    @rule(starved=st.booleans())
    def starve(self, starved: bool) -> None:
        self.shared.context.starved = starved

    @rule(data=st.data())
    def damage(self, data: st.DataObject) -> None:
        for file in sorted(self.folder.rglob("*.kv"))[:1]:
            content = bytearray(file.read_bytes())
            content[data.draw(st.integers(0, len(content) - 1))] ^= 16
            file.write_bytes(content)

    @invariant()
    def answers_agree(self) -> None:
        if not hasattr(self, "shared"):
            return
        for request, answer in self.shared.answers():
            prompt, count, known = self.prompts[request]
            assert answer.agrees(known), (prompt, count)

    def anew(self, prompt: list[int], count: int) -> Answer:
        """The answer of a loop whose memory is empty."""
        alone = self.alone
        alone.context.clear()
        alone.loop = BatchLoop(
            alone.model, alone.context, slots=3, parallel=1, cache=0, emit=alone.events.append
        )
        alone.submit(prompt, count)
        while alone.step():
            pass
        return next(answer for _, answer in alone.answers())

    def teardown(self) -> None:
        if hasattr(self, "shared"):
            while self.shared.step():
                pass
            self.answers_agree()
            assert not self.shared.loop.busy
            self.shared.close()
            self.alone.close()
            shutil.rmtree(self.folder)


def test_each_kind_shares_as_if_it_evaluated_everything_anew(path: Path, eager: None) -> None:
    machine = type("Machine", (Sharing,), {"path": path})
    few = settings(
        max_examples=12,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )
    run_state_machine_as_test(machine, settings=few)


def test_copies_that_do_not_fit_together_do_not_replace_each_other(shaped: Path) -> None:
    """The idle engine comes to rest, although host memory has room for one of three sequences only."""
    asked = Asked(shaped, cache=150 << 10, pool=2048)
    for number in range(3):
        asked.submit([3 + number] * 200, 20)
    while asked.step():
        pass
    assert [asked.loop.work_while_idle() for _ in range(3)] == [True, False, False]
    asked.close()


def evaluate(asked: Asked, prompt: list[int]) -> Answer:
    """The answer to `prompt`, after which the loop rests."""
    request = asked.submit(prompt, 8)
    while asked.step():
        pass
    while asked.loop.work_while_idle(long=True):
        pass
    return dict(asked.answers())[request]


def finish(asked: Asked, prompt: list[int]) -> None:
    """Answer `prompt`, and hear of no file that is read meanwhile."""
    request = asked.submit(prompt, 2)
    while not any(isinstance(event, Finished) and event.request == request for event in asked.events):
        asked.loop.step()


@pytest.fixture
def pressed(shaped: Path, tmp_path: Path) -> Iterator[tuple[Asked, list[int]]]:
    """Host memory has room for 600 tokens. It holds the last ones of a turn; the first 300 had to leave."""
    asked = Asked(
        shaped, cache=300 << 10, pool=2048, disk=lambda post: Disk(tmp_path, "shaped", 1 << 26, post=post)
    )
    first = evaluate(asked, [5, 6, 7, 8] * 75)
    evaluate(asked, [9, 10, 11, 12] * 100)
    turn = first.finish.tokens + [20, 21, 22] * 30
    asked.submit(turn, 40)
    asked.step()  # The file of its beginning is read.
    while asked.loop.waits:
        asked.step()
    finish(asked, [60, 61, 62] * 100)
    evaluate(asked, [70, 71] * 40)
    yield asked, turn
    asked.close()


def test_a_turn_is_written_although_its_beginning_has_left_host_memory(
    pressed: tuple[Asked, list[int]],
) -> None:
    asked, turn = pressed
    for other in (40, 41):
        evaluate(asked, [other] * 400)
    for question in (50, 51):
        assert evaluate(asked, turn + [question] * 10).finish.cached_tokens == len(turn)
        asked.loop.close()
        asked.start()


def test_a_sequence_stays_in_host_memory_while_its_files_are_read(pressed: tuple[Asked, list[int]]) -> None:
    asked, turn = pressed
    evaluate(asked, [45] * 64)
    request = asked.submit(turn + [50] * 10, 8)
    asked.loop.step()
    assert asked.loop.waits
    for other in (42, 43, 44):
        finish(asked, [other] * 400)
    while asked.step():
        pass
    assert dict(asked.answers())[request].finish.cached_tokens == len(turn)


async def test_a_repeat_evaluates_nothing(path: Path) -> None:
    async with loaded(path, num_ctx=2048) as engine:
        first = await ask(engine, HEAD, num_predict=8, logprobs=2)
        for _ in range(2):
            again = await ask(engine, HEAD, num_predict=8, logprobs=2)
            assert again.finish.cached_tokens == again.finish.prompt_tokens
            assert again.agrees(first)


async def test_another_question_behind_the_same_head_evaluates_little_more(path: Path) -> None:
    async with loaded(path, num_ctx=2048) as engine:
        head = len(await engine.tokenize(HEAD))
        await ask(engine, HEAD + "What is the first question?", num_predict=8)
        other = await ask(engine, HEAD + "Is this another one, or not?", num_predict=8)
        assert other.finish.cached_tokens >= head - 64
        third = await ask(engine, HEAD + "Now they have parted here before.", num_predict=8)
        assert third.finish.cached_tokens == head


async def test_an_edited_message_and_the_next_turn_go_on_from_where_they_part(path: Path) -> None:
    async with loaded(path, num_ctx=2048) as engine:
        turns = HEAD
        for number in range(3):
            turns += f"\nQuestion {number}: what comes after {number}?\nAnswer:"
            turn = await ask(engine, turns, num_predict=30)
            edited = await ask(engine, turns.replace(f"after {number}?", f"before {number}?"), num_predict=5)
            assert turn.finish.prompt_tokens - edited.finish.cached_tokens <= 130
            context = turn.finish.tokens + await engine.tokenize("\nAnd then?", add_bos=False)
            after = await ask(engine, context, num_predict=5)
            assert after.finish.prompt_tokens - after.finish.cached_tokens <= 11 + 1
            turns += f" number {number + 1}."


async def test_clients_that_arrive_together_evaluate_their_head_once(path: Path) -> None:
    async with loaded(path, num_ctx=2048) as engine:
        head = len(await engine.tokenize(HEAD))
        answers = await asyncio.gather(
            *(ask(engine, f"{HEAD}{n} is the number", num_predict=8) for n in range(8))
        )
        cached = sorted(answer.finish.cached_tokens for answer in answers)
        assert cached[0] == 0
        assert cached[1:] == [head] * 7
