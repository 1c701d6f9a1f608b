"""The models on this machine: `puna list`, `show`, `cp`, `rm`."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from puna.cli.arguments import ModelName, ModelNames, NamePrefix
from puna.cli.columns import columns
from puna.cli.connection import CommandFailed, ModelMissing, connect
from puna.cli.wrap import printable
from puna.human import human_bytes, human_time

if TYPE_CHECKING:
    from puna.cli.client import Client


def list_models(name: NamePrefix = "") -> None:
    """List models."""
    with connect() as client:
        print(models_table(client, name))


def models_table(client: Client, prefix: str) -> str:
    """The server's models whose names begin with the prefix."""
    now = datetime.now(timezone.utc)
    rows = [["NAME", "ID", "SIZE", "MODIFIED"]]
    for model in client.list().models:
        if (model.model or "").lower().startswith(prefix.lower()):
            rows.append(
                [
                    model.model or "",
                    (model.digest or "")[:12],
                    human_bytes(model.size or 0),
                    human_time(model.modified_at, now) if model.modified_at else "Never",
                ]
            )
    return columns(rows)


def show(
    model: ModelName,
    license: Annotated[bool, typer.Option("--license", help="Show license of a model.")] = False,
    modelfile: Annotated[bool, typer.Option("--modelfile", help="Show Modelfile of a model.")] = False,
    parameters: Annotated[bool, typer.Option("--parameters", help="Show parameters of a model.")] = False,
    system: Annotated[bool, typer.Option("--system", help="Show system message of a model.")] = False,
    template: Annotated[bool, typer.Option("--template", help="Show template of a model.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show detailed model information.")
    ] = False,
) -> None:
    """Show information for a model."""
    from puna.cli.details import details_text

    flags = {
        "license": license,
        "modelfile": modelfile,
        "parameters": parameters,
        "system": system,
        "template": template,
    }
    parts = [part for part, flag in flags.items() if flag]
    if len(parts) > 1:
        raise CommandFailed(
            "only one of '--license', '--modelfile', '--parameters', '--system', or '--template' "
            "can be specified"
        )
    with connect() as client:
        details = client.details(model, verbose=verbose)
    text = details.get(parts[0], "") if parts else details_text(details, verbose=verbose)
    # Scripts read these back, so they get no newline, and every character.
    end = "" if parts[:1] in (["system"], ["template"]) else "\n"
    print(printable(text) if sys.stdout.isatty() else text, end=end)


def copy(source: ModelName, destination: ModelName) -> None:
    """Copy a model."""
    with connect() as client:
        client.copy(source, destination)
    print(f"copied '{source}' to '{destination}'")


def delete(models: ModelNames) -> None:
    """Remove a model."""
    for model in models:
        try:
            with connect() as client:
                client.generate(model=model, keep_alive=0)
        except ModelMissing:
            pass  # A missing model is reported by the removal.
        except CommandFailed as failure:
            print(f"Warning: unable to stop model '{model}': {failure}", file=sys.stderr)
        with connect() as client:
            client.delete(model)
        print(f"deleted '{model}'")
