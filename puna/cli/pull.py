"""`puna pull`, and the progress that it and `run` show."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

import typer

from puna.cli.connection import connect
from puna.cli.progress import PullProgress

if TYPE_CHECKING:
    from puna.cli.client import Client


def pull(
    model: Annotated[str, typer.Argument(show_default=False)],
    insecure: Annotated[bool, typer.Option("--insecure", help="Use an insecure registry.")] = False,
) -> None:
    """Pull a model from a registry."""
    with connect() as client:
        pull_model(client, model, insecure=insecure)


def pull_model(client: Client, model: str, *, insecure: bool = False) -> None:
    """Pull a model. Progress goes to standard error: bars on a terminal, otherwise a line for each step."""
    if sys.stderr.isatty():
        _pull_with_bars(client, model, insecure)
    else:
        progress = PullProgress()
        for step in client.pull(model, insecure=insecure, stream=True):
            begun = progress.feed(
                step.status or "", step.digest or "", step.total or 0, step.completed or 0, 0.0
            )
            if begun:
                print(begun, file=sys.stderr, flush=True)


def _pull_with_bars(client: Client, model: str, insecure: bool) -> None:
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console, progress = Console(stderr=True), PullProgress()

    def screen() -> Text:
        lines = progress.lines(console.width, time.monotonic())
        return Text("\n".join(lines[-console.height :]), no_wrap=True, overflow="crop")

    with Live(get_renderable=screen, console=console, refresh_per_second=10):
        for step in client.pull(model, insecure=insecure, stream=True):
            progress.feed(
                step.status or "", step.digest or "", step.total or 0, step.completed or 0, time.monotonic()
            )
        progress.end()
