"""The server's end of an engine process: starts it, speaks to it, and notices when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import signal
import sys
from array import array
from collections.abc import AsyncGenerator

import msgspec

from puna.engine.messages import (
    HEADER,
    Cancel,
    Command,
    Detokenize,
    Embed,
    Event,
    Failed,
    Finished,
    Generate,
    Loaded,
    PlainText,
    Refused,
    Text,
    Tokenize,
    Tokens,
    Vectors,
    frame,
)
from puna.types import (
    BadRequest,
    Delta,
    Embeddings,
    EngineGone,
    EngineInfo,
    Finish,
    Job,
    LoadFailed,
    LoadSpec,
    PunaError,
)

_Answer = Text | Finished | Vectors | Tokens | PlainText | Failed

# Saved prefixes are returned to the system when they are dropped, not kept by the allocator.
_ENVIRONMENT = {"MALLOC_MMAP_THRESHOLD_": "1048576"}

_ENOUGH_TO_EXIT = 5.0
"""Seconds a process may take to end after its input closed before it is killed."""


async def start(spec: LoadSpec) -> EngineProcess:
    """Start an engine process and wait until its model is loaded. Raises LoadFailed with the reason."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "puna.engine",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
        env=os.environ | _ENVIRONMENT,
        # A terminal's Ctrl-C is the server's to handle; it ends its engines itself.
        start_new_session=True,
    )
    try:
        return await EngineProcess.greet(process, spec)
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise


class EngineProcess:
    """An Engine (puna.types) in a process of its own."""

    info: EngineInfo

    def __init__(self, process: asyncio.subprocess.Process, info: EngineInfo) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.info = info
        self._process = process
        self._stdin = process.stdin
        self._stdout = process.stdout
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[_Answer]] = {}
        self._encoder = msgspec.msgpack.Encoder()
        self._gone: str | None = None
        self._listener = asyncio.create_task(self._listen())

    @classmethod
    async def greet(cls, process: asyncio.subprocess.Process, spec: LoadSpec) -> EngineProcess:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(frame(msgspec.msgpack.encode(spec)))
        try:
            (event,) = await _receive(process.stdout)
        except asyncio.IncompleteReadError:
            raise LoadFailed(f"unable to load model: the engine {_ending(await process.wait())}") from None
        if isinstance(event, Refused):
            raise LoadFailed(event.message)
        assert isinstance(event, Loaded)
        return cls(process, event.info)

    @property
    def alive(self) -> bool:
        return self._gone is None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def generate(self, job: Job) -> AsyncGenerator[Delta | Finish, None]:
        request = next(self._requests)
        answers = self._ask(Generate(request, job))
        ended = False
        try:
            while not ended:
                answer = await answers.get()
                if isinstance(answer, Text):
                    yield Delta(answer.text)
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

    async def embed(self, texts: list[str], *, truncate: bool) -> Embeddings:
        answer = await self._answer(Embed(next(self._requests), texts, truncate))
        if not isinstance(answer, Vectors):
            raise _failure(answer)
        values = array("f", answer.data)
        rows = [values[at : at + answer.width].tolist() for at in range(0, len(values), answer.width)]
        return Embeddings(vectors=rows, tokens=answer.tokens)

    async def tokenize(self, text: str, *, add_bos: bool = True) -> list[int]:
        answer = await self._answer(Tokenize(next(self._requests), text, add_bos))
        if not isinstance(answer, Tokens):
            raise _failure(answer)
        return answer.tokens

    async def detokenize(self, tokens: list[int]) -> str:
        answer = await self._answer(Detokenize(next(self._requests), tokens))
        if not isinstance(answer, PlainText):
            raise _failure(answer)
        return answer.text

    async def close(self) -> None:
        """Close the process's input, which ends it, and wait until its memory is returned."""
        self._stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), _ENOUGH_TO_EXIT)
        except asyncio.TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._listener

    def _ask(self, command: Command) -> asyncio.Queue[_Answer]:
        if self._gone is not None:
            raise EngineGone(self._gone)
        answers: asyncio.Queue[_Answer] = asyncio.Queue()
        self._answers[command.request] = answers
        self._send(command)
        return answers

    async def _answer(self, command: Command) -> _Answer:
        answers = self._ask(command)
        try:
            return await answers.get()
        except asyncio.CancelledError:
            self._cancel(command.request)
            raise
        finally:
            self._answers.pop(command.request, None)

    def _cancel(self, request: int) -> None:
        if self._gone is None:
            self._send(Cancel(request))

    def _send(self, command: Command) -> None:
        self._stdin.write(frame(self._encoder.encode(command)))

    async def _listen(self) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                for event in await _receive(self._stdout):
                    if isinstance(event, (Loaded, Refused)):
                        continue
                    answers = self._answers.get(event.request)
                    if answers is not None:
                        answers.put_nowait(event)
        self._gone = f"the engine {_ending(await self._process.wait())}"
        for request, answers in self._answers.items():
            answers.put_nowait(Failed(request, self._gone))


_decoder = msgspec.msgpack.Decoder(list[Event])


async def _receive(stream: asyncio.StreamReader) -> list[Event]:
    size = int.from_bytes(await stream.readexactly(HEADER), "little")
    return _decoder.decode(await stream.readexactly(size))


def _failure(answer: _Answer) -> PunaError:
    assert isinstance(answer, Failed)
    return BadRequest(answer.message) if answer.fault == "request" else EngineGone(answer.message)


def _ending(status: int) -> str:
    if status >= 0:
        return f"process ended unexpectedly (exit status {status})"
    return f"process was ended by {signal.Signals(-status).name}"
