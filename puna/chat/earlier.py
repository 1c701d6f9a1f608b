"""Earlier turns, as a thinking model should see them again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec
from msgspec.structs import replace

from puna import gojson
from puna.types import Message

_WHOLE = "arguments"
"""The name of the argument that holds arguments which are no object."""

_OPEN, _CLOSE = "<think>", "</think>"


def unthought(messages: Sequence[Message]) -> list[Message]:
    """The messages, without leading reasoning in the model's answers before the last question.

    Clients that do not know `thinking` send it back in the text (Ollama server/routes.go, filterThinkTags).
    """
    last = max((at for at, message in enumerate(messages) if message.role == "user"), default=0)
    return [
        _answer(message) if at < last and message.role == "assistant" else message
        for at, message in enumerate(messages)
    ]


def called_with(given: Any) -> dict[str, Any]:
    """The arguments of an earlier call: an object, or JSON text of one.

    Anything else (cut off, a list, no JSON) becomes the only argument of an object, because templates and
    renderers read an object's entries.
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
