"""The menu that `puna` shows without a command."""

from __future__ import annotations

import shutil
import sys

from puna.cli.agents import AGENTS
from puna.cli.connection import CommandFailed, connect
from puna.settings import Settings

STARTER = "smollm2:135m"


def choose(question: str, options: list[tuple[str, str]]) -> str:
    """The value of the (value, label) that the user picks. Raises KeyboardInterrupt."""
    from prompt_toolkit.shortcuts import choice

    return choice(question, options=options)


def is_person() -> bool:
    """Whether standard input and output are a terminal."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty()


def menu(help_text: str) -> None:
    """Ask the user what to do, and do it; `help_text` is what `puna --help` prints."""
    action = choose(
        "What would you like to do?",
        [
            ("talk", "Talk with a model"),
            ("page", "Open the page in a browser"),
            ("pull", "Pull a model"),
            ("agent", "Connect a coding agent"),
            ("help", "See all commands"),
        ],
    )
    settings = Settings.from_environment()
    if action == "help":
        print(help_text)
    elif action == "page":
        from puna.cli.ui import open_page

        open_page(settings)
    elif action == "agent":
        _agent()
    elif action == "pull":
        _pull(settings)
    else:
        _talk(settings)


def _talk(settings: Settings) -> None:
    from puna.cli.background import ensure_server
    from puna.cli.launch import models_with
    from puna.cli.run import run

    ensure_server(settings)
    with connect(settings) as client:
        names = models_with(client, "completion") or [STARTER]
    run(choose("With which model?", [(name, name) for name in names]) if len(names) > 1 else names[0])


def _pull(settings: Settings) -> None:
    from prompt_toolkit import prompt

    from puna.cli.background import ensure_server
    from puna.cli.pull import pull_model

    ensure_server(settings)
    name = prompt("Which model? ", placeholder="qwen3:0.6b, gemma3, or any name in a registry").strip()
    if not name:
        raise CommandFailed("no model was named")
    with connect(settings) as client:
        pull_model(client, name)


def _agent() -> None:
    from puna.cli.launch import start

    name = choose(
        "Which agent?",
        [
            (name, agent.title if shutil.which(agent.program) else f"{agent.title} ({agent.install})")
            for name, agent in AGENTS.items()
        ],
    )
    sys.exit(start(AGENTS[name], []))
