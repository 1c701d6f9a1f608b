"""What an answer is made of, and what takes it apart."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class Content(msgspec.Struct):
    """Text for the person who asked."""

    text: str


class Thought(msgspec.Struct):
    """The model's reasoning, without its tags."""

    text: str


class Called(msgspec.Struct):
    """A complete tool call; arguments are in the model's order."""

    name: str
    arguments: dict[str, Any]


Part = Content | Thought | Called


class Parser(Protocol):
    """Takes one answer apart. The pieces it is fed in only decide where the parts' text is cut."""

    def feed(self, text: str) -> list[Part]:
        """The parts that `text` completes. Never raises."""
        ...

    def finish(self, *, cut: bool = False) -> list[Part]:
        """What was held back when the answer ended.

        A call that is not complete comes out as text, or not at all if the answer was `cut` (by a limit or a
        stop string): it would have become a call.
        """
        ...
