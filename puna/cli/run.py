"""`puna run`: an answer, an embedding, or a session. Pulls a missing model."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.cli.arguments import Insecure, ModelName
from puna.cli.connection import CommandFailed, ModelMissing, client_errors, connect
from puna.settings import Settings, parse_duration

if TYPE_CHECKING:
    from puna.cli.client import Client
    from puna.cli.session import Session, ThinkOption


def run(
    model: ModelName,
    prompt: Annotated[list[str] | None, typer.Argument(show_default=False)] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show timings for response.")] = False,
    format: Annotated[
        str, typer.Option("--format", help='Response format: "json" or a JSON schema.', show_default=False)
    ] = "",
    keepalive: Annotated[
        str,
        typer.Option("--keepalive", help="Duration to keep a model loaded (e.g. 5m).", show_default=False),
    ] = "",
    think: Annotated[
        str,
        typer.Option(
            metavar="[=true|false|low|medium|high|max]",
            help="Think before answering, and how much, for models that can.",
            show_default=False,
        ),
    ] = "",
    hidethinking: Annotated[bool, typer.Option("--hidethinking", help="Don't show the thinking.")] = False,
    nowordwrap: Annotated[
        bool, typer.Option("--nowordwrap", help="Don't wrap words to the next line automatically.")
    ] = False,
    insecure: Insecure = False,
    dimensions: Annotated[
        int,
        typer.Option(help="For embedding models: shorten the vector to so many numbers.", show_default=False),
    ] = 0,
    truncate: Annotated[
        str,
        typer.Option(
            metavar="[=true|false]",
            help="For embedding models: cut a text that is too long (true, the default) or refuse it.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Run a model."""
    settings = Settings.from_environment()
    answer_format, keep_alive, level = parse_format(format), parse_keepalive(keepalive), parse_think(think)
    input_text = read_piped()
    text = " ".join(([input_text] if input_text else []) + (prompt or []))
    interactive = sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty() and not prompt

    from puna.cli.background import ensure_server

    ensure_server(settings)
    with connect(settings) as client:
        details = show_or_pull(client, settings, model, insecure=insecure)
        if "embedding" in (details.get("capabilities") or []):
            print(embedding(client, model, text, keep_alive, dimensions, truncate))
            return
        from puna.cli.session import Session

        session = Session(
            model,
            format=answer_format,
            keep_alive=keep_alive,
            verbose=verbose,
            wrap=not nowordwrap,
            history=not settings.no_history,
            think=level,
            think_chosen=level is not None,
            hide_thinking=hidethinking,
        )
        session.use_model(model, details)
        if interactive:
            from puna.cli.interactive import Conversation

            Conversation(client, session, settings).run()
        else:
            answer_once(client, session, text)


def show_or_pull(client: Client, settings: Settings, model: str, *, insecure: bool) -> dict[str, Any]:
    """The server's details of a model. Pulls a missing model first."""
    try:
        with client_errors(settings):
            return client.details(model)
    except ModelMissing:
        from puna.cli.pull import pull_model

        pull_model(client, model, insecure=insecure)
        return client.details(model)


def answer_once(client: Client, session: Session, prompt: str) -> None:
    """Print the answer to one prompt; an empty prompt only loads the model."""
    from puna.cli.answer import AnswerPrinter
    from puna.cli.timing import summary

    files: list[bytes] = []
    if session.takes_files:
        from puna.cli.attachments import take_files

        prompt, files = take_files(prompt)
    answer = AnswerPrinter(wrap=session.wrap, hide_thinking=session.hide_thinking)
    try:
        last = answer.show(
            client.generate(
                session.model,
                prompt,
                images=files or None,
                think=session.think,
                format=session.format,
                keep_alive=session.keep_alive,
                stream=True,
            ),
            lambda reply: (reply.thinking, reply.response),
        )
    except KeyboardInterrupt:
        if sys.stdout.isatty():
            print()
        raise
    if prompt or files:
        print("\n")
    if session.verbose and last is not None and last.done:
        sys.stdout.flush()
        print(summary(last), file=sys.stderr)


def embedding(
    client: Client, model: str, text: str, keep_alive: str | None, dimensions: int, truncate: str
) -> str:
    """The vector of a text, as a JSON array. Raises CommandFailed without a text."""
    if not text:
        raise CommandFailed(f'embedding models require input text. Usage: puna run {model} "your text here"')
    if truncate not in ("", "true", "false"):
        raise CommandFailed(f'invalid value for --truncate: "{truncate}" (must be true or false)')
    response = client.embed(
        model,
        text,
        keep_alive=keep_alive,
        dimensions=dimensions or None,
        truncate=truncate == "true" if truncate else None,
    )
    if not response.embeddings:
        raise CommandFailed("no embeddings returned")
    return json.dumps(list(response.embeddings[0]), separators=(",", ":"))


def parse_format(text: str) -> Any:
    """The API's `format` for a `--format`: "json", a JSON schema, or None. Raises CommandFailed."""
    if text in ("", "json"):
        return text or None
    try:
        schema = json.loads(text)
    except ValueError:
        schema = None
    if not isinstance(schema, dict):
        raise CommandFailed(f'invalid value for --format: {text!r} (must be "json" or a JSON schema)')
    return schema


def parse_think(text: str) -> ThinkOption:
    """The API's `think` for a `--think`; None without one. Raises CommandFailed."""
    if text in ("true", "false", ""):
        return {"true": True, "false": False}.get(text)
    if text not in ("high", "medium", "low", "max"):
        raise CommandFailed(
            f'invalid value for --think: "{text}" (must be true, false, high, medium, low, or max)'
        )
    return text


def parse_keepalive(text: str) -> str | None:
    """A Go duration, checked before the first request. Raises CommandFailed."""
    if not text:
        return None
    try:
        parse_duration(text)
    except ValueError as error:
        raise CommandFailed(str(error)) from None
    return text


def read_piped() -> str:
    """All of standard input; "" if it is a terminal."""
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return sys.stdin.buffer.read().decode(errors="replace")
