"""Arguments and options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from puna.cli.connection import CommandFailed


def _check_name(name: str) -> str:
    if not name:
        raise CommandFailed("model is required")
    return name


def _check_names(names: list[str]) -> list[str]:
    return [_check_name(name) for name in names]


ModelName = Annotated[str, typer.Argument(callback=_check_name, show_default=False)]
ModelNames = Annotated[list[str], typer.Argument(callback=_check_names, show_default=False)]
NamePrefix = Annotated[str, typer.Argument(help="Only models whose names begin so.", show_default=False)]
Insecure = Annotated[bool, typer.Option("--insecure", help="Use an insecure registry.")]
