"""A loaded engine and a way to ask it, as tests use them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from puna.chat import constraint
from puna.engine import EngineProcess, start
from puna.types import Delta, Finish, Grammar, Job, LoadSpec, Options

JOB_FIELDS = ("truncate", "shift", "add_bos", "grammar", "visible", "logprobs", "bias", "media")


@dataclass
class Answer:
    pieces: list[str]
    finish: Finish

    @property
    def text(self) -> str:
        return "".join(self.pieces)


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
) -> AsyncIterator[EngineProcess]:
    """An engine over the model at `path`, closed at the end."""
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
    async for event in engine.generate(job):
        if isinstance(event, Delta):
            pieces.append(event.text)
        elif isinstance(event, Finish):
            return Answer(pieces, event)
    raise AssertionError("the answer had no end")


def schema(source: str) -> Grammar:
    """What holds an answer to a JSON Schema."""
    grammar = constraint(
        "plain",
        tools=[],
        choice="auto",
        name="",
        parallel=True,
        schema=json.loads(source),
        think=False,
        prompt="",
        last=None,
    )
    assert grammar is not None
    return grammar
