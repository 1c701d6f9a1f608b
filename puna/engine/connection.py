"""The pipes of an engine process. Its end fails all open requests."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import signal
from typing import cast

import msgspec

from puna.engine.messages import (
    HEADER,
    Cancel,
    Command,
    EngineAnswer,
    Event,
    Failed,
    Loaded,
    Loading,
    LoadRefused,
    Ping,
    Pong,
    Starved,
    frame,
)
from puna.engine.vital import OUT_OF_MEMORY
from puna.engine.watchdog import Watchdog
from puna.errors import EngineGone

_EXIT_TIMEOUT = 5.0
"""Seconds after closing its input until a process is killed."""

_UNREAD = 32_768
"""Unread events of an answer after which it is cancelled."""

_HINTS = {
    "SIGKILL": ", as the system does when memory runs out",
    "SIGABRT": "; the log says why",
}

_log = logging.getLogger(__name__)
_decoder = msgspec.msgpack.Decoder(list[Event])


class EngineConnection(asyncio.SubprocessProtocol):
    """One engine process, and its open requests.

    Every token passes here, so events are decoded in the pipe's callback, without a stream or a task.
    """

    def __init__(self, patience: float) -> None:
        loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._loaded: asyncio.Future[Loaded | LoadRefused] = loop.create_future()
        self._exited: asyncio.Future[None] = loop.create_future()
        self._requests = itertools.count(1)
        self._answers: dict[int, asyncio.Queue[EngineAnswer]] = {}
        self._encoder = msgspec.msgpack.Encoder()
        self.began = False
        """Whether the process has its LoadSpec."""
        self._gone: str | None = None
        self._on_device = False
        self._starved = False
        self._watchdog = Watchdog(
            patience, busy=lambda: bool(self._answers), ping=lambda: self._send(Ping()), on_hang=self._on_hang
        )

    # Called by asyncio

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
            try:
                events = _decoder.decode(received[HEADER:end])
            except msgspec.MsgspecError as error:
                self._on_unknown(error)
                return
            del received[:end]
            self._watchdog.on_message()
            for event in events:
                self._dispatch(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """The process has ended, and its pipes are read to the end."""
        status = self._process.get_returncode() or 0
        ending = _ending(status)
        if status == OUT_OF_MEMORY:
            self._starved = True
        elif self._starved:
            ending = f"ran out of memory: its {ending}"
        self._end(f"the engine {ending}")
        self._exited.set_result(None)

    def _on_hang(self, seconds: float) -> None:
        """Fail all requests at once, because killing the process may take a while."""
        self._end(f"the engine hung for {seconds:.0f} s and was ended")
        _log.error("%s (process %d)", self._gone, self.pid)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _on_unknown(self, error: msgspec.MsgspecError) -> None:
        """End the process: each load starts the program anew, which may have been replaced since."""
        self._end(f"the engine is of another version than the server ({error}): restart the server")
        _log.error("%s (process %d)", self._gone, self.pid)
        self._received.clear()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()

    def _end(self, reason: str) -> None:
        """Fail all requests once: the engine is unusable."""
        if self._gone is not None:
            return
        self._gone = reason
        if not self._loaded.done():
            self._loaded.set_result(LoadRefused(f"unable to load model: {reason}", self._on_device))
        for request, answers in self._answers.items():
            answers.put_nowait(Failed(request, reason, "gone"))

    def _dispatch(self, event: Event) -> None:
        if isinstance(event, (Loaded, LoadRefused)):
            if not self._loaded.done():  # The waiter may have given up.
                self._loaded.set_result(event)
        elif isinstance(event, Loading):
            self.began = True
        elif isinstance(event, Starved):
            self._starved = True
        elif isinstance(event, Pong):
            self._watchdog.longest = event.longest
        elif answers := self._answers.get(event.request):
            if answers.qsize() < _UNREAD:
                answers.put_nowait(event)
                return
            # A client that does not read must not fill memory or occupy a slot forever.
            self._answers.pop(event.request)
            self._cancel(event.request)
            problem = f"the answer was ended, because {_UNREAD} pieces of it were not read"
            answers.put_nowait(Failed(event.request, problem, "engine"))

    @property
    def alive(self) -> bool:
        return self._gone is None

    @property
    def takes_commands(self) -> bool:
        """Whether it is alive and its pipe is open: the pipe breaks before the process's end is known."""
        return self.alive and not self._stdin.is_closing()

    @property
    def exhausted(self) -> bool:
        return self._starved and not self.alive

    @property
    def pid(self) -> int:
        return self._process.get_pid()

    async def close(self) -> None:
        """Close the process's input, which ends it, and wait until its memory is free."""
        self._stdin.close()
        await asyncio.wait({self._exited}, timeout=_EXIT_TIMEOUT)
        await self.kill()

    async def kill(self) -> None:
        """Kill the process unless it has ended, and wait for its end."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await asyncio.wait({self._exited})
        self._process.close()

    def _ask(self, command: Command) -> asyncio.Queue[EngineAnswer]:
        if self._gone is not None:
            raise EngineGone(self._gone)
        message = self._encoder.encode(command)  # It may fail, and then no answer is due.
        answers: asyncio.Queue[EngineAnswer] = asyncio.Queue()
        self._answers[command.request] = answers
        self._write(message)
        self._watchdog.watch()
        return answers

    async def _answer(self, command: Command) -> EngineAnswer:
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
        self._write(self._encoder.encode(command))

    def _write(self, message: bytes) -> None:
        """Send a message, unless the process has just ended: that fails all requests anyway."""
        if not self._stdin.is_closing():
            self._stdin.write(frame(message))


def _ending(status: int) -> str:
    if status == OUT_OF_MEMORY:
        return "ran out of memory"
    if status >= 0:
        return f"process ended unexpectedly (exit status {status})"
    name = signal.Signals(-status).name
    return f"process was ended by {name}{_HINTS.get(name, '')}"
