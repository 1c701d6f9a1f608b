"""A thread for long work before a request reaches the loop.

Compiling a grammar may take seconds, and so may tokenizing a book. Meanwhile the reader thread takes other
requests and cancellations.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock

from puna.engine.messages import Command, Detokenize, Embed, Generate, Measure, Rank, Tokenize
from puna.engine.vital import start_thread

_SHORT = 4096
"""Characters or tokens up to which preparation takes a millisecond or two, and needs no other thread."""

Work = Callable[[], None]
"""Runs in the loop's thread."""


class Preparation:
    """Prepares commands in order of arrival, in one thread."""

    def __init__(
        self, prepare: Callable[[Command], Work | None], deliver: Callable[[int, Work, bool], None]
    ) -> None:
        """`prepare` turns a command into the loop's work, if there is any, and reports errors itself.

        `deliver` gets the request, the work, and whether it is still wanted.
        """
        self._prepare = prepare
        self._deliver = deliver
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._pending: set[int] = set()
        self._lock = Lock()
        start_thread(self._work)

    def begin(self, command: Command) -> None:
        with self._lock:
            self._pending.add(command.request)
        self._commands.put(command)

    def cancel(self, request: int) -> bool:
        """Cancel a request; False if it is not in preparation."""
        with self._lock:
            preparing = request in self._pending
            self._pending.discard(request)
            return preparing

    def _work(self) -> None:
        while True:
            command = self._commands.get()
            if command.request not in self._pending:
                continue
            work = self._prepare(command)
            with self._lock:
                wanted = command.request in self._pending
                self._pending.discard(command.request)
                if work is not None:
                    self._deliver(command.request, work, wanted)


def is_long(command: Command) -> bool:
    """Whether a command is worth its own thread."""
    if isinstance(command, Generate):
        job = command.job
        return job.grammar is not None or bool(job.media) or len(job.prompt) > _SHORT
    if isinstance(command, Embed):
        return sum(map(len, command.texts)) > _SHORT
    if isinstance(command, Rank):
        return len(command.query) * len(command.documents) + sum(map(len, command.documents)) > _SHORT
    if isinstance(command, Tokenize):
        return len(command.text) > _SHORT
    if isinstance(command, Measure):  # Only this thread may use the projector's tokenizer.
        return True
    return isinstance(command, Detokenize) and len(command.tokens) > _SHORT
