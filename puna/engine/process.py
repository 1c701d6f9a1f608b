"""The server's end of an engine process: starts it, and implements Engine's methods by messages."""

from __future__ import annotations

import asyncio
import math
import os
import sys
from array import array
from collections.abc import AsyncGenerator
from typing import TypeVar

import msgspec
from msgspec.structs import replace

from puna.engine.connection import EngineConnection
from puna.engine.messages import (
    AnswerText,
    Command,
    Detokenize,
    Embed,
    EngineAnswer,
    Failed,
    Finished,
    Generate,
    LoadRefused,
    Measure,
    PlainText,
    Rank,
    Size,
    Started,
    TokenIds,
    Tokenize,
    Vectors,
)
from puna.errors import BadRequest, DeviceFailed, EngineGone, LoadFailed, PromptTooLong, PunaError
from puna.load import EngineInfo, LoadSpec
from puna.types import Begun, Delta, Embeddings, Finish, Image, Job, Ranking, Sound, Texts

_ENVIRONMENT = {
    # Dropped segments return to the system at once, instead of staying with the allocator.
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    # At a barrier, threads spin for some 50 µs, then sleep. Longer spinning starves other threads where
    # something else runs too (docs/performance.md).
    "GOMP_SPINCOUNT": "5000",
}

Result = TypeVar("Result", Vectors, TokenIds, Size, PlainText)


async def start(spec: LoadSpec, *, patience: float = math.inf) -> EngineProcess:
    """Start an engine process and wait until its model is loaded. Raises LoadFailed with the reason.

    An engine that hangs for `patience` seconds while it has work is killed.
    """
    return await load(await spawn(patience), spec)


async def spawn(patience: float) -> EngineProcess:
    """An engine process without a model. Raises OSError."""
    _, engine = await asyncio.get_running_loop().subprocess_exec(
        lambda: EngineProcess(patience),
        sys.executable,
        "-m",
        "puna.engine",
        stderr=None,
        env=_ENVIRONMENT | os.environ,
        # Only the server gets a terminal's Ctrl-C; it ends its engines itself.
        start_new_session=True,
    )
    return engine


async def load(engine: EngineProcess, spec: LoadSpec) -> EngineProcess:
    """Wait until the process has loaded its model. Kills it on failure. Raises LoadFailed."""
    try:
        engine.info = await engine.greet(spec)
    except BaseException:
        await engine.kill()
        raise
    return engine


class EngineProcess(EngineConnection):
    """An Engine (puna.types) in its own process."""

    info: EngineInfo

    async def greet(self, spec: LoadSpec) -> EngineInfo:
        """Send the spec and wait until the model is loaded. Raises LoadFailed."""
        self._on_device = bool(spec.placed.devices)
        self._write(msgspec.msgpack.encode(spec))
        event = await self._loaded
        if isinstance(event, LoadRefused):
            raise DeviceFailed(event.message) if event.on_device else LoadFailed(event.message)
        self._watchdog.longest = event.longest
        return event.info

    async def generate(self, job: Job) -> AsyncGenerator[Begun | Delta | Finish, None]:
        request = next(self._requests)
        answers = self._ask(Generate(request, job))
        ended = False
        try:
            while not ended:
                answer = await answers.get()
                if isinstance(answer, AnswerText):
                    yield Delta(answer.text, answer.tokens, answer.logprobs)
                    continue
                if isinstance(answer, Started):
                    yield answer.begun
                    continue
                ended = True
                if isinstance(answer, Finished):
                    yield answer.finish
                else:
                    raise _failure(answer)
        finally:
            self._answers.pop(request, None)
            if not ended:
                self._cancel(request)

    async def embed(
        self, texts: Texts, *, truncate: bool, limit: int = 0, normalize: bool = True
    ) -> Embeddings:
        command = Embed(next(self._requests), list(texts), truncate, limit, normalize)
        answer = await self._result(Vectors, command)
        values = array("f", answer.data)
        rows = [values[at : at + answer.width].tolist() for at in range(0, len(values), answer.width)]
        return Embeddings(vectors=rows, tokens=answer.tokens)

    async def rank(self, query: str, documents: list[str], *, truncate: bool) -> Ranking:
        answer = await self._result(Vectors, Rank(next(self._requests), query, documents, truncate))
        return Ranking(scores=array("f", answer.data).tolist(), tokens=answer.tokens)

    async def tokenize(self, text: str, *, add_bos: bool = True) -> list[int]:
        return (await self._result(TokenIds, Tokenize(next(self._requests), text, add_bos))).tokens

    async def measure(self, medium: Image | Sound) -> int:
        outline = replace(medium, rgb=b"") if isinstance(medium, Image) else replace(medium, file=b"")
        return (await self._result(Size, Measure(next(self._requests), outline))).tokens

    async def detokenize(self, tokens: list[int]) -> str:
        return (await self._result(PlainText, Detokenize(next(self._requests), tokens))).text

    async def _result(self, kind: type[Result], command: Command) -> Result:
        """The answer to a command that has one answer, of this kind."""
        answer = await self._answer(command)
        if not isinstance(answer, kind):
            raise _failure(answer)
        return answer


def _failure(answer: EngineAnswer) -> PunaError:
    assert isinstance(answer, Failed)
    if answer.fault == "length":
        return PromptTooLong(answer.message, answer.tokens, answer.limit)
    if answer.fault == "request":
        return BadRequest(answer.message, answer.field)
    return EngineGone(answer.message) if answer.fault == "gone" else PunaError(answer.message)
