"""Turns that are over, as a model that thinks should see them again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from puna import gojson
from puna.types import Message

_WHOLE = "arguments"
"""What a call's arguments are called that are no object."""

_OPEN, _CLOSE = "<think>", "</think>"


def unthought(messages: Sequence[Message]) -> list[Message]:
    """The messages; those of the model before the last question without reasoning that begins their text.

    Clients that do not know of `thinking` send it back so (Ollama server/routes.go, filterThinkTags).
    """
    last = max((at for at, message in enumerate(messages) if message.role == "user"), default=0)
    return [
        _answer(message) if at < last and message.role == "assistant" else message
        for at, message in enumerate(messages)
    ]


def called_with(given: Any) -> dict[str, Any]:
    """The arguments of an earlier call: an object, or JSON text of one.

    What a model wrote that is neither (cut off, a list, no JSON) is the one argument of an object, because
    templates and renderers take the object apart.
    """
    if isinstance(given, str):
        with suppress(msgspec.DecodeError, RecursionError):
            given = msgspec.json.decode(gojson.mended(given.encode("utf-8", "replace") or b"{}"))
    if given is None:
        return {}
    return given if isinstance(given, dict) else {_WHOLE: given}


def _answer(message: Message) -> Message:
    text = message.content.lstrip()
    thought, close, rest = text.partition(_CLOSE)
    if not close or not thought.startswith(_OPEN):
        return message
    return replace(message, content=rest.lstrip())
