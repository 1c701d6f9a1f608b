"""`puna launch`: starts a coding agent on this server and a model."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from puna.cli.agents import AGENTS, Agent
from puna.cli.connection import CommandFailed, client_errors, connect
from puna.settings import Settings

if TYPE_CHECKING:
    from puna.cli.client import Client

CONTEXT = 32_768
"""Default context in tokens. An agent's instructions and tools alone take 10,000 and more."""

_TOUCH = 60.0
"""Seconds between the requests that keep the model loaded."""


def launch(
    agent: Annotated[str, typer.Argument(metavar=f"[{'|'.join(AGENTS)}]", show_default=False)],
    arguments: Annotated[
        list[str] | None,
        typer.Argument(help='Further arguments for the agent, behind "--".', show_default=False),
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="The model to use; otherwise you choose.", show_default=False)
    ] = "",
    context: Annotated[int, typer.Option(min=1, help="Tokens of context for the agent.")] = CONTEXT,
) -> None:
    """Start a coding agent on a model of this server, without touching the agent's own configuration."""
    if agent not in AGENTS:
        raise CommandFailed(f'unknown agent "{agent}"; known are {", ".join(AGENTS)}')
    sys.exit(start(AGENTS[agent], arguments or [], model=model, context=context))


def start(agent: Agent, arguments: list[str], *, model: str = "", context: int = CONTEXT) -> int:
    """Run an agent; returns its exit status. Raises CommandFailed if it cannot start."""
    program = shutil.which(agent.program)
    if program is None:
        raise CommandFailed(
            f"{agent.title} is not installed ({agent.program} is not on PATH); install it: {agent.install}"
        )
    settings = Settings.from_environment()
    from puna.cli.background import ensure_server

    ensure_server(settings)
    with connect(settings) as client:
        chosen = model or choose_model(client)
        with keep_loaded(client, settings, chosen, context) as length:
            setup = agent.setup(settings.url, settings.api_key, chosen, length)
            return _run([program, *setup.arguments, *arguments], os.environ | setup.environment)


def _run(command: list[str], environment: dict[str, str]) -> int:
    """Run a command to its end. Ctrl-C goes to the agent."""
    process = subprocess.Popen(command, env=environment)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def choose_model(client: Client) -> str:
    """The only model that calls tools, or the user's choice among several."""
    able = models_with(client, "tools")
    if not able:
        raise CommandFailed(
            "no model here calls tools, which agents need: puna pull qwen3, or name one by --model"
        )
    if len(able) == 1:
        return able[0]
    from puna.cli.menu import choose, is_person

    if not is_person():
        raise CommandFailed(f"which model? name one by --model: {', '.join(able)}")
    return choose("Which model?", [(name, name) for name in able])


def models_with(client: Client, capability: str) -> list[str]:
    """Names of the server's models that have `capability`, newest first."""
    names = [model.model or "" for model in client.list().models]
    return [name for name in names if capability in (client.details(name).get("capabilities") or [])]


@contextmanager
def keep_loaded(client: Client, settings: Settings, model: str, context: int) -> Iterator[int]:
    """Keep `model` loaded with `context` tokens, at most its training length; yields the length.

    Agents do not set `num_ctx`, so their own requests would load the default context.
    """
    details = client.details(model)
    info = details.get("model_info") or {}
    trained = info.get(f"{info.get('general.architecture')}.context_length")
    length = min(context, trained) if isinstance(trained, int) and trained > 0 else context
    print(f"puna: loading {model} with a context of {length} tokens", file=sys.stderr)
    client.generate(model, options={"num_ctx": length})
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(_TOUCH):
            try:
                with client_errors(settings):
                    client.generate(model, options={"num_ctx": length})
            except CommandFailed:
                continue  # The agent will get and report the same error.

    toucher = threading.Thread(target=touch, daemon=True)
    toucher.start()
    try:
        yield length
    finally:
        ended.set()
        toucher.join(timeout=1)
