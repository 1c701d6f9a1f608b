"""`puna pull`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from puna.cli.arguments import Insecure, ModelName
from puna.cli.connection import connect
from puna.cli.display import Display

if TYPE_CHECKING:
    from puna.cli.client import Client


def pull(model: ModelName, insecure: Insecure = False) -> None:
    """Pull a model from a registry."""
    with connect() as client:
        pull_model(client, model, insecure=insecure)


def pull_model(client: Client, model: str, *, insecure: bool = False) -> None:
    """Pull a model, showing progress."""
    with Display() as display:
        display.follow(client.pull(model, insecure=insecure, stream=True), label="{}:".format)
