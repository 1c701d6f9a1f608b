"""The server's end of an engine process: starts it, speaks to it, and notices when it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import os
import signal
import sys
from array import array
from collections.abc import AsyncGenerator
from typing import cast

import msgspec

from puna.engine.messages import (
    HEADER,
    AnswerText,
    Cancel,
    Command,
    Detokenize,
    Embed,
    Event,
    Failed,
    Finished,
    Generate,
    Loaded,
    LoadRefused,
    Ping,
    PlainText,
    Pong,
    Rank,
    Started,
    Starved,
    TokenIds,
    Tokenize,
    Vectors,
    frame,
)
from puna.engine.vital import OUT_OF_MEMORY
from puna.engine.watchdog import Watchdog
from puna.errors import BadRequest, DeviceFailed, EngineGone, LoadFailed, PromptTooLong, PunaError
from puna.load import EngineInfo, LoadSpec
from puna.types import Begun, Delta, Embeddings, Finish, Job, Ranking, Texts

_Answer = Started | AnswerText | Finished | Vectors | TokenIds | PlainText | Failed

_ENVIRONMENT = {
    # Saved prefixes are returned to the system when they are dropped, not kept by the allocator.
    "MALLOC_MMAP_THRESHOLD_": "1048576",
    # Threads that meet wait awake for some 50 µs, then sleep: awake for long, they starve each other where
    # something else runs, too (docs/performance.md).
    "GOMP_SPINCOUNT": "5000",
}

_ENOUGH_TO_EXIT = 5.0
"""Seconds a process may take to end after its input closed before it is killed."""


_UNREAD = 32_768
"""Pieces of an answer that wait to be read before it is ended."""

_HINTS = {
    "SIGKILL": ", as the system does when memory runs out",
    "SIGABRT": "; the log says why",
}

_log = logging.getLogger(__name__)


async def start(spec: LoadSpec, *, patience: float = math.inf) -> EngineProcess:
    """Start an engine process and wait until its model is loaded. Raises LoadFailed with the reason.

    An engine that has work to do and hangs for `patience` seconds is ended.
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
        # A terminal's Ctrl-C is the server's to handle; it ends its engines itself.
        start_new_session=True,
    )
    return engine


async def load(engine: EngineProcess, spec: LoadSpec) -> EngineProcess:
    """Wait until the process has loaded its model; it is ended where that fails. Raises LoadFailed."""
    try:
        engine.info = await engine.greet(spec)
    except BaseException:
        await engine.kill()
        raise
    return engine


class EngineProcess(asyncio.SubprocessProtocol):
    """An Engine (puna.types) in a process of its own.

    What it says is taken from the pipe as it comes, without a stream and a task between: that is the way of
    every token.
    """

    info: EngineInfo

    def __init__(self, patience: float) -> None:
        loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._loaded: asyncio.Future[Loaded | LoadRefused] = loop.create_future()
        self._exited: asyncio.Future[None] = loop.create_future()
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[_Answer]] = {}
        self._encoder = msgspec.msgpack.Encoder()
        self._gone: str | None = None
        self._on_device = False
        self._starved = False
        self._watchdog = Watchdog(
            patience, busy=lambda: bool(self._answers), ask=lambda: self._send(Ping()), hung=self._hung
        )

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._process = cast(asyncio.SubprocessTransport, transport)
        self._stdin = cast(asyncio.WriteTransport, self._process.get_pipe_transport(0))

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        received = self._received
        received += data
        while len(received) >= HEADER:
            end = HEADER + int.from_bytes(received[:HEADER], "little")
            if len(received) < end:
                return
            events = _decoder.decode(received[HEADER:end])
            del received[:end]
            self._watchdog.heard()
            for event in events:
                self._dispatch(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended and its pipes are read to their end."""
        status = self._process.get_returncode() or 0
        ending = _ending(status)
        if status == OUT_OF_MEMORY:
            self._starved = True
        elif self._starved:
            ending = f"ran out of memory: its {ending}"
        self._end(f"the engine {ending}")
        self._exited.set_result(None)

    def _hung(self, seconds: float) -> None:
        """Its requests do not wait until the process has ended, which may take a while, too."""
        self._end(f"the engine hung for {seconds:.0f} s and was ended")
        _log.error("%s (process %d)", self._gone, self.pid)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _end(self, reason: str) -> None:
        """Tell everybody once that the engine is of no more use."""
        if self._gone is not None:
            return
        self._gone = reason
        if not self._loaded.done():
            self._loaded.set_result(LoadRefused(f"unable to load model: {reason}", self._on_device))
        for request, answers in self._answers.items():
            answers.put_nowait(Failed(request, reason, "gone"))

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, (Loaded, LoadRefused)):
            if not self._loaded.done():  # Whoever waited may have given up.
                self._loaded.set_result(event)
        elif isinstance(event, Starved):
            self._starved = True
        elif isinstance(event, Pong):
            self._watchdog.longest = event.longest
        elif answers := self._answers.get(event.request):
            if answers.qsize() < _UNREAD:
                answers.put_nowait(event)
                return
            # A client that reads nothing may not fill the memory, nor hold its place for ever.
            self._answers.pop(event.request)
            self._cancel(event.request)
            problem = f"the answer was ended, because {_UNREAD} pieces of it were not read"
            answers.put_nowait(Failed(event.request, problem, "engine"))

    # What an Engine does

    async def greet(self, spec: LoadSpec) -> EngineInfo:
        """Hand over the spec and wait for the model. Raises LoadFailed."""
        self._on_device = bool(spec.placed.devices)
        self._stdin.write(frame(msgspec.msgpack.encode(spec)))
        event = await self._loaded
        if isinstance(event, LoadRefused):
            raise DeviceFailed(event.message) if event.on_device else LoadFailed(event.message)
        self._watchdog.longest = event.longest
        return event.info

    @property
    def alive(self) -> bool:
        return self._gone is None

    @property
    def exhausted(self) -> bool:
        return self._starved and not self.alive

    @property
    def pid(self) -> int:
        return self._process.get_pid()

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

    async def embed(self, texts: Texts, *, truncate: bool, limit: int = 0) -> Embeddings:
        answer = await self._answer(Embed(next(self._requests), list(texts), truncate, limit))
        if not isinstance(answer, Vectors):
            raise _failure(answer)
        values = array("f", answer.data)
        rows = [values[at : at + answer.width].tolist() for at in range(0, len(values), answer.width)]
        return Embeddings(vectors=rows, tokens=answer.tokens)

    async def rank(self, query: str, documents: list[str], *, truncate: bool) -> Ranking:
        answer = await self._answer(Rank(next(self._requests), query, documents, truncate))
        if not isinstance(answer, Vectors):
            raise _failure(answer)
        return Ranking(scores=array("f", answer.data).tolist(), tokens=answer.tokens)

    async def tokenize(self, text: str, *, add_bos: bool = True) -> list[int]:
        answer = await self._answer(Tokenize(next(self._requests), text, add_bos))
        if not isinstance(answer, TokenIds):
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
        await asyncio.wait({self._exited}, timeout=_ENOUGH_TO_EXIT)
        await self.kill()

    async def kill(self) -> None:
        """End the process, if it has not ended yet, and wait for that."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.wait({self._exited})
        self._process.close()

    def _ask(self, command: Command) -> asyncio.Queue[_Answer]:
        if self._gone is not None:
            raise EngineGone(self._gone)
        answers: asyncio.Queue[_Answer] = asyncio.Queue()
        self._answers[command.request] = answers
        self._send(command)
        self._watchdog.watch()
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

    def _send(self, command: Command | Ping) -> None:
        self._stdin.write(frame(self._encoder.encode(command)))


_decoder = msgspec.msgpack.Decoder(list[Event])


def _failure(answer: _Answer) -> PunaError:
    assert isinstance(answer, Failed)
    if answer.fault == "length":
        return PromptTooLong(answer.message)
    if answer.fault == "request":
        return BadRequest(answer.message, answer.field)
    return EngineGone(answer.message) if answer.fault == "gone" else PunaError(answer.message)


def _ending(status: int) -> str:
    if status == OUT_OF_MEMORY:
        return "ran out of memory"
    if status >= 0:
        return f"process ended unexpectedly (exit status {status})"
    name = signal.Signals(-status).name
    return f"process was ended by {name}{_HINTS.get(name, '')}"
