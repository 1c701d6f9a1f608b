"""The parts of an answer, and the parser's interface."""

from __future__ import annotations

from typing import Any, Protocol

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


class Parser(Protocol):
    """Parses one answer. Chunking affects only where the parts' text is split."""

    def feed(self, text: str) -> list[Part]:
        """The parts that `text` completes. Never raises."""
        ...

    def finish(self, *, cut: bool = False) -> list[Part]:
        """The parts that were still pending at the answer's end.

        An incomplete call becomes text. If the answer was `cut` (by a limit or a stop string), it is dropped,
        because it would have become a call.
        """
        ...
