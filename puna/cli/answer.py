"""An answer on its way to the screen: a spinner until the first word, then text as it comes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from puna.cli.wrap import Wrapper, printable

Reply = TypeVar("Reply")
NARROWEST = 10
"""Columns below which a terminal's lines are left to the terminal."""


class Answer:
    """Writes one answer to standard output; `text` is what has come so far."""

    def __init__(self, *, wrap: bool) -> None:
        self.text = ""
        self._terminal = sys.stdout.isatty()
        self._wrapper = Wrapper() if wrap and self._terminal and os.environ.get("TERM") != "dumb" else None

    def show(self, replies: Iterable[Reply], text_of: Callable[[Reply], str | None]) -> Reply | None:
        """Write the text of each reply; returns the last reply."""
        last = None
        with spinner() as stop_spinner:
            for last in replies:
                if text := text_of(last):
                    stop_spinner()
                    self._write(text)
        return last

    def _write(self, text: str) -> None:
        self.text += text
        columns = os.get_terminal_size(sys.stdout.fileno()).columns if self._terminal else 0
        if self._wrapper and columns > NARROWEST:
            # The last column stays free: terminals disagree on where the cursor is after writing there.
            text = self._wrapper.feed(text, columns - 1)
        elif self._terminal:
            text = printable(text)
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def spinner() -> Iterator[Callable[[], None]]:
    """Something that turns while one waits, on a terminal only. Yields what ends it early."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.stop
