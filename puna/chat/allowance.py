"""The work and text that one rendering of a template may cost. Both grow with the conversation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from puna.errors import BadRequest
from puna.types import Message

from .prompt import Prompt

_MOST = 64 << 20
"""Most characters of a conversation."""

_UNITS_PER_MESSAGE = 1_000
"""Gemma 4's template takes 700 for each of a thousand messages, because it looks back from every one."""

_UNITS_PER_TEXT = 32
"""For 64 characters. Most templates read a message ten times at most."""


@dataclass(frozen=True)
class Allowance:
    """The limits of one rendering; by default, of a short conversation's."""

    units: int = 100_000
    """One unit pays for a loop iteration, 64 new characters or 8 new items."""
    characters: int = 4 << 20
    """The longest text or value."""


SHORT = Allowance()


def allowance(prompt: Prompt) -> Allowance:
    """The limits for a prompt. Raises BadRequest for a conversation of more than 64 MiB."""
    size = len(prompt.prompt) + len(prompt.suffix) + _characters(prompt.tools)
    size += sum(map(_message, prompt.messages))
    if size > _MOST:
        raise BadRequest(f"the messages are longer than {_MOST >> 20} MiB", "messages")
    units = _UNITS_PER_MESSAGE * len(prompt.messages) + _UNITS_PER_TEXT * (size >> 6)
    return Allowance(SHORT.units + units, SHORT.characters + 4 * size)


def _message(message: Message) -> int:
    return len(message.content) + len(message.thinking) + _characters(message.tool_calls)


def _characters(value: Any) -> int:
    """The characters of a JSON value's texts and keys, and 16 for every value."""
    pending, size = [value], 0
    while pending:
        item = pending.pop()
        size += 16
        if isinstance(item, str):
            size += len(item)
        elif isinstance(item, dict):
            pending += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            pending += item
    return size
