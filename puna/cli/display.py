"""Progress on standard error: bars on a terminal, otherwise a line for each step."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from puna.cli.progress import ProgressView

if TYPE_CHECKING:
    from ollama import ProgressResponse


class Display:
    """Shows progress during its `with` block; restores the cursor at the end."""

    def __init__(self) -> None:
        self._progress = ProgressView()
        self._draws = sys.stderr.isatty()
        self._screen: AbstractContextManager[object] = _live(self._progress) if self._draws else nullcontext()

    def __enter__(self) -> Display:
        self._screen.__enter__()
        return self

    def __exit__(self, *failure: object) -> None:
        self._progress.end()
        self._screen.__exit__(None, None, None)

    def feed(
        self, status: str, key: str = "", total: int = 0, completed: int = 0, *, label: str = ""
    ) -> None:
        """One message of the work, as in `ProgressView.feed`."""
        new_step = self._progress.feed(status, key, total, completed, time.monotonic(), label)
        if new_step and not self._draws:
            print(new_step, file=sys.stderr, flush=True)

    def follow(self, steps: Iterable[ProgressResponse], label: Callable[[str], str] = str) -> None:
        """Show the server's progress; `label` turns a status into a bar's name."""
        for step in steps:
            status = step.status or ""
            self.feed(status, step.digest or "", step.total or 0, step.completed or 0, label=label(status))


def _live(progress: ProgressView) -> AbstractContextManager[object]:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console = Console(stderr=True)

    def screen() -> Text:
        lines = progress.lines(console.width, time.monotonic())
        return Text("\n".join(lines[-console.height :]), no_wrap=True, overflow="crop")

    return Live(get_renderable=screen, console=console, refresh_per_second=10)
