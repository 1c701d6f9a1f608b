"""`puna ui`: opens the page in the user's browser."""

from __future__ import annotations

from typing import Annotated

import typer

from puna.settings import Settings


def ui(
    show_only: Annotated[bool, typer.Option("--no-browser", help="Only print the page's address.")] = False,
) -> None:
    """Open the page in a browser."""
    open_page(Settings.from_environment(), browser=not show_only)


def open_page(settings: Settings, *, browser: bool = True) -> None:
    """Make sure that a server runs, and open its page; always prints the address."""
    from puna.cli.background import ensure_server

    ensure_server(settings)
    address = f"{settings.url}/ui"
    print(address)
    if browser:
        import webbrowser

        webbrowser.open(address)
