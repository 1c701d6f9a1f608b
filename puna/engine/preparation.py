"""A thread for long work before a request reaches the loop, so that other requests go on.

Compiling a grammar may take seconds, and so may tokenizing a book. The thread that reads requests and
cancellations waits for neither.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock

from puna.engine.messages import Command, Detokenize, Embed, Generate, Rank, Tokenize
from puna.engine.vital import start_thread

_SHORT = 4096
"""Characters or tokens that take a millisecond or two, so that another thread is not worth it."""

Work = Callable[[], None]
"""What the loop's thread is to do."""


class Preparation:
    """Prepares commands in the order they come, all in one thread."""

    def __init__(
        self, prepare: Callable[[Command], Work | None], deliver: Callable[[int, Work, bool], None]
    ) -> None:
        """`prepare` turns a command into the loop's work, if there is any; it answers errors itself.

        `deliver` gets the request, the work, and whether it is still wanted.
        """
        self._prepare = prepare
        self._deliver = deliver
        self._commands: SimpleQueue[Command] = SimpleQueue()
        self._wanted: set[int] = set()
        self._lock = Lock()
        start_thread(self._work)

    def begin(self, command: Command) -> None:
        with self._lock:
            self._wanted.add(command.request)
        self._commands.put(command)

    def forget(self, request: int) -> bool:
        """Cancel a request; False if it was delivered already."""
        with self._lock:
            known = request in self._wanted
            self._wanted.discard(request)
            return known

    def _work(self) -> None:
        while True:
            self._run(self._commands.get())

    def _run(self, command: Command) -> None:
        if command.request not in self._wanted:
            return
        work = self._prepare(command)
        with self._lock:
            wanted = command.request in self._wanted
            self._wanted.discard(command.request)
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
    return isinstance(command, Detokenize) and len(command.tokens) > _SHORT
