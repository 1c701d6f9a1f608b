"""The parts of an answer."""

from __future__ import annotations

from typing import Any

import msgspec


class Content(msgspec.Struct):
    """Text for the user."""

    text: str


class Thought(msgspec.Struct):
    """The model's reasoning, without its tags."""

    text: str


class Called(msgspec.Struct):
    """A complete tool call, with arguments in the model's order."""

    name: str
    arguments: dict[str, Any]


Part = Content | Thought | Called
