"""Prints an answer as it streams: a spinner until the first token, then text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from puna.cli.wrap import Wrapper, printable

Reply = TypeVar("Reply")
NARROWEST = 10
"""Columns below which lines are not wrapped."""

_GREY, _BOLD, _DEFAULT = "\x1b[38;5;245m", "\x1b[1m", "\x1b[0m"


class AnswerPrinter:
    """Writes one answer to standard output. `thinking` and `text` are the answer so far."""

    def __init__(self, *, wrap: bool, hide_thinking: bool = False) -> None:
        self.thinking = ""
        self.text = ""
        self._hide_thinking = hide_thinking
        self._terminal = sys.stdout.isatty()
        self._ansi = self._terminal and os.environ.get("TERM") != "dumb"
        self._wrap = wrap and self._ansi
        self._wrapper = Wrapper() if self._wrap else None
        self._colours = self._ansi and not os.environ.get("NO_COLOR")
        self._in_thoughts = False

    def show(
        self, replies: Iterable[Reply], parts_of: Callable[[Reply], tuple[str | None, str | None]]
    ) -> Reply | None:
        """Writes the thinking and the text of each reply; returns the last reply."""
        last = None
        with spinner() as stop_spinner:
            try:
                for last in replies:
                    thinking, text = parts_of(last)
                    if thinking:
                        self.thinking += thinking
                        if not self._hide_thinking:
                            stop_spinner()
                            self._open_thoughts()
                            self._write(thinking)
                    if text:
                        stop_spinner()
                        self.write(text)
            finally:
                if self._in_thoughts:
                    # When thinking is interrupted, the next prompt must not be grey.
                    self._put(_DEFAULT if self._colours else "")
        return last

    def write(self, text: str) -> None:
        """Write a piece of the answer itself."""
        self._close_thoughts()
        self.text += text
        self._write(text)

    def _open_thoughts(self) -> None:
        """The words and colours around thinking are Ollama's (cmd.go, thinkingOutputOpeningText)."""
        if not self._in_thoughts:
            self._in_thoughts = True
            heading = "Thinking...\n"
            self._put(f"{_GREY}{_BOLD}{heading}{_DEFAULT}{_GREY}" if self._colours else heading)

    def _close_thoughts(self) -> None:
        if self._in_thoughts:
            self._in_thoughts = False
            self._put("" if self.thinking.endswith("\n") else "\n")
            ending = "...done thinking.\n\n"
            self._put(f"{_GREY}{_BOLD}{ending}{_DEFAULT}" if self._colours else ending)
            self._wrapper = Wrapper() if self._wrap else None

    def _write(self, text: str) -> None:
        columns = os.get_terminal_size(sys.stdout.fileno()).columns if self._terminal else 0
        if self._wrapper and columns > NARROWEST:
            # The last column stays free, because terminals differ in where they put the cursor after it.
            text = self._wrapper.feed(text, columns - 1)
        elif self._terminal:
            text = printable(text)
        self._put(text)

    def _put(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


@contextmanager
def spinner() -> Iterator[Callable[[], None]]:
    """A spinner, on a terminal only. Yields a function that stops it."""
    if not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console

    with Console(stderr=True).status("") as status:
        yield status.stop
