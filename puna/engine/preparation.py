"""What takes long before a request reaches the loop is done in its own thread, so that others go on.

Compiling a grammar takes up to seconds, and so do the tokens of a book; the reader thread, which hears of
every request and of every cancellation, waits for neither.
"""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock

from puna.engine.messages import Command, Detokenize, Embed, Generate, Rank, Tokenize
from puna.engine.vital import start_thread

_SHORT = 4096
"""Characters or tokens that are prepared in a millisecond or two: to hand them over is not worth it."""

Work = Callable[[], None]
"""What the loop's thread is to do."""


class Preparation:
    """Prepares commands in the order they come, all in one thread."""

    def __init__(
        self, prepare: Callable[[Command], Work | None], deliver: Callable[[int, Work, bool], None]
    ) -> None:
        """`prepare` makes of a command what the loop is to do, if anything; it answers errors itself.

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
        """Whether the request had not been delivered yet: now it is not wanted any more."""
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
