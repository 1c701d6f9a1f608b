"""A batch loop fed by hand, and jobs of every kind for it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from puna.engine.drafts import Proposer, TokenText
from puna.engine.intake import Intake
from puna.engine.libllama import Context, LlamaModel
from puna.engine.loop import BatchLoop
from puna.engine.memory import spare_slots
from puna.engine.messages import AnswerText, Event, Failed, Finished, Generate
from puna.types import Finish, Job
from tests.engine.asking import job, schema

WORDS = [f"word{number}, " for number in range(60)]
SCRIPT = "".join(WORDS)
NOTHING: list[Any] = []
"""Known to nobody: no drafts."""
FEW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


class Guesser:
    """Knows what an answer was, and errs at times."""

    def __init__(self, known: Sequence[int], seed: int) -> None:
        self._known = list(known)
        self._random = random.Random(seed)
        self.shared: list[int] = []

    def take(self, token: int) -> None:
        self.shared.append(token)

    def draft(self, most: int, *, forced: Sequence[int], shared: TokenText) -> tuple[list[int], list[float]]:
        guessed = self._known[len(self.shared) : len(self.shared) + self._random.randint(0, most)]
        if guessed and self._random.random() < 0.5:
            guessed[self._random.randrange(len(guessed))] = self._random.randrange(3, 259)
        return guessed, [1.0] * len(guessed)


class Asked:
    """A batch loop, fed by hand."""

    proposer: Proposer | None = None
    """What guesses from the next `begin` on."""

    def __init__(
        self, path: Path, *, slots: int = 6, pool: int = 2048, mtp: bool = False, rollback: int = 0
    ) -> None:
        """`mtp`: with its MTP layer, which drafts only as `proposer`."""
        self.model = LlamaModel(str(path), mtp=mtp)
        self.context = Context(
            self.model,
            n_ctx=pool,
            n_batch=96,
            n_seq=slots + spare_slots(self.model),
            threads=1,
            rollback=rollback,
        )
        self.slots = slots
        self.begin()

    def begin(self) -> None:
        """With nothing in memory."""
        self.context.clear()
        self.events: list[Event] = []
        self.loop = BatchLoop(
            self.model,
            self.context,
            slots=self.slots,
            parallel=self.slots - 2,
            cache=1 << 26,
            emit=self.events.append,
            proposer=self.proposer,
        )

    def answers(
        self,
        jobs: Sequence[Job],
        known: Sequence[Sequence[int]] | None = None,
        *,
        seed: int = 0,
        cancel: tuple[int, int] | None = None,
    ) -> list[list[Any]]:
        """What comes of each of `jobs`: text, reports, and how it ended; `known` says what is guessed.

        `cancel`: which of them is cancelled, after how many steps.
        """
        self.events.clear()
        intake = Intake(self.model, None, num_ctx=512)
        for number, one in enumerate(jobs):
            sequence = intake.sequence(Generate(number, one))
            if known is NOTHING:
                sequence.drafter = None
            elif known is not None:
                sequence.drafter = Guesser(known[number], seed + number)  # type: ignore[assignment]
            self.loop.submit(sequence)
        self.steps = 0
        while self.loop.busy:
            self.loop.step()
            self.steps += 1
            if cancel and cancel[1] == self.steps:
                self.loop.cancel(cancel[0])
        return [list(self._outcome(number)) for number in range(len(jobs))]

    def finish(self, one: Job) -> Finish:
        """How the answer to one job ended."""
        self.answers([one])
        return self.finishes()[0]

    def finishes(self) -> list[Finish]:
        """How the last answers ended, in the order of their ends."""
        return [event.finish for event in self.events if isinstance(event, Finished)]

    def _outcome(self, request: int) -> Iterator[Any]:
        shared = [e for e in self.events if isinstance(e, AnswerText) and e.request == request]
        yield "".join(event.text for event in shared)
        yield [report for event in shared for report in event.logprobs]
        for event in self.events:
            if isinstance(event, Finished) and event.request == request:
                finish = event.finish
                yield (finish.reason, finish.eval_tokens, finish.cached_tokens, finish.stop, finish.tokens)
            elif isinstance(event, Failed) and event.request == request:
                yield event.message

    def close(self) -> None:
        self.context.close()
        self.model.close()


SCHEMA = schema(
    json.dumps(
        {
            "type": "object",
            "properties": {
                "a long name": {"type": "integer", "maximum": 99},
                "kind": {"enum": ["alpha", "alpine"]},
            },
            "required": ["a long name", "kind"],
        }
    )
)

OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.sampled_from([0.0, 0.7, 2.0]),
    "seed": st.integers(0, 1000),
    "num_predict": st.sampled_from([1, 2, 5, 40, -2]),
    "top_k": st.sampled_from([0, 5, 40]),
    "min_p": st.sampled_from([0.0, 0.05]),
    "repeat_penalty": st.sampled_from([1.0, 1.3]),
    "presence_penalty": st.sampled_from([0.0, 0.5]),
    "repeat_last_n": st.sampled_from([-1, 0, 8, 64]),
    "mirostat": st.sampled_from([0, 0, 1, 2]),
    "stop": st.sampled_from([(), ("w1",), ("7 w", "9")]),
    "logprobs": st.sampled_from([None, 0, 3]),
    "bias": st.sampled_from([{}, {40: 5.0, 50: -5.0}]),
    "grammar": st.sampled_from([None, None, SCHEMA]),
    "num_ctx": st.sampled_from([24, 64, 512]),
    "shift": st.booleans(),
}
PROMPTS = st.lists(st.integers(3, 300), min_size=1, max_size=60)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    options = {name: draw(values) for name, values in OPTIONS.items()}
    return job(draw(PROMPTS)[: options["num_ctx"] - 1], **options)
