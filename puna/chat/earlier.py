"""Earlier turns, prepared for the next prompt."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from puna import gojson
from puna.types import Message

_WHOLE = "arguments"
"""The key for arguments that are not an object."""

_OPEN, _CLOSE = "<think>", "</think>"


def without_thinking(messages: Sequence[Message]) -> list[Message]:
    """The messages, without `<think>` blocks at the start of answers before the last question.

    Clients that do not know `thinking` send it back as text (Ollama server/routes.go, filterThinkTags).
    """
    last = max((at for at, message in enumerate(messages) if message.role == "user"), default=0)
    return [
        _answer(message) if at < last and message.role == "assistant" else message
        for at, message in enumerate(messages)
    ]


def call_arguments(given: Any) -> dict[str, Any]:
    """The arguments of an earlier call, given as an object or as its JSON text.

    Any other value (truncated JSON, a list, text) becomes the only argument, because templates and renderers
    expect an object.
    """
    if isinstance(given, str):
        with suppress(msgspec.DecodeError, RecursionError):
            given = msgspec.json.decode(gojson.sanitize(given.encode("utf-8", "replace") or b"{}"))
    if given is None:
        return {}
    return given if isinstance(given, dict) else {_WHOLE: given}


def _answer(message: Message) -> Message:
    text = message.content.lstrip()
    thought, close, rest = text.partition(_CLOSE)
    if not close or not thought.startswith(_OPEN):
        return message
    return replace(message, content=rest.lstrip())
