"""A loaded engine and a way to ask it, as tests use them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, cast

from puna.engine import EngineProcess, start
from puna.load import LoadSpec
from puna.options import Options
from puna.types import Delta, Finish, Grammar, Job, TokenLogprob
from tests.chat.grammars.asked import held

JOB_FIELDS = {*Job.__struct_fields__} - {"prompt", "options"}

NEAR = 0.02
"""How far apart batches of different shapes may round the logarithm of a probability."""


@dataclass
class Answer:
    pieces: list[str]
    logprobs: list[TokenLogprob]
    finish: Finish

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    def agrees(self, other: Answer) -> bool:
        """Whether two greedy answers, asked for with logprobs=2, are one until a near tie parts them."""
        for pair in zip_longest(self.logprobs, other.logprobs):
            steps = [step for step in pair if step is not None]
            best = [step.top[0].logprob for step in steps]
            if max(best) - min(best) > NEAR:
                return False
            if len(steps) == 1 or steps[0].bytes != steps[1].bytes:
                return best[0] - steps[0].top[1].logprob < NEAR
        # An answer that ended at once has said nothing.
        return bool(self.logprobs) or (self.finish.tokens == other.finish.tokens and not self.text)


@asynccontextmanager
async def loaded(
    path: Path,
    *,
    num_ctx: int = 512,
    pool: int = 0,
    parallel: int = 8,
    cache: int = 64 << 20,
    embedding: bool = False,
    projector: Path | None = None,
    num_batch: int = 512,
    disk: Path | None = None,
    disk_limit: int = 1 << 30,
    **fields: Any,
) -> AsyncIterator[EngineProcess]:
    """An engine over the model at `path`, closed at the end. `fields` are more of the LoadSpec's."""
    spec = LoadSpec(
        path=str(path),
        num_ctx=num_ctx,
        pool=pool or 4 * num_ctx,
        parallel=parallel,
        cache=cache,
        num_thread=2,
        embedding=embedding,
        projector=str(projector or ""),
        num_batch=num_batch,
        disk=str(disk or ""),
        disk_limit=disk_limit,
        **fields,
    )
    engine = await start(spec)
    try:
        yield engine
    finally:
        await engine.close()


def job(prompt: str | list[int], **options: Any) -> Job:
    """A job with temperature 0 unless said otherwise; fields of Job may stand among the options."""
    fields = {name: options.pop(name) for name in JOB_FIELDS if name in options}
    return Job(
        prompt=prompt, options=Options(**cast("dict[str, Any]", {"temperature": 0.0} | options)), **fields
    )


async def ask(engine: EngineProcess, prompt: str | list[int], **options: Any) -> Answer:
    return await told(engine, job(prompt, **options))


async def told(engine: EngineProcess, job: Job) -> Answer:
    pieces: list[str] = []
    logprobs: list[TokenLogprob] = []
    async for event in engine.generate(job):
        if isinstance(event, Delta):
            pieces.append(event.text)
            logprobs.extend(event.logprobs)
        elif isinstance(event, Finish):
            return Answer(pieces, logprobs, event)
    raise AssertionError("the answer had no end")


def agree(answers: list[Answer], others: list[Answer]) -> bool:
    return all(one.agrees(another) for one, another in zip(answers, others, strict=True))


def schema(source: str) -> Grammar:
    """What holds an answer to a JSON Schema."""
    return held("plain", schema=json.loads(source), think=False)
