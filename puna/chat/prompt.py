"""Prompts and the templates that render them."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec

from puna.types import Message


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation or, for fill-in-the-middle, the text on both sides of the gap."""

    messages: list[Message] = []
    tools: list[dict[str, Any]] | None = None
    """Tools in the API's format: `{"type": "function", "function": {...}}`."""
    think: bool | str | None = None
    """Whether or how much to think: "low", "medium", "high". None leaves it to the template."""
    add_generation_prompt: bool = True
    """Open the assistant's turn at the end. Go templates and renderers ignore this."""
    prompt: str = ""
    """The text before the gap, if there is a `suffix`."""
    suffix: str = ""


class Template(Protocol):
    """A chat template, ready to render. Immutable."""

    @property
    def names(self) -> frozenset[str]:
        """The variables it reads, in lower case: "tools", "messages", "suffix", "think", …"""
        ...

    def render(self, prompt: Prompt) -> str:
        """The text for `prompt`. Raises BadRequest if the template refuses it, PunaError if it fails."""
        ...


def is_continued(messages: list[Message]) -> bool:
    """Whether the last message is a partial answer without calls, which the model should continue."""
    if not messages or messages[-1].role != "assistant" or messages[-1].tool_calls:
        return False
    return bool(messages[-1].content or messages[-1].thinking)
