"""Turns that are over, as a model that thinks should see them again."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from puna.types import Message

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


def _answer(message: Message) -> Message:
    text = message.content.lstrip()
    thought, close, rest = text.partition(_CLOSE)
    if not close or not thought.startswith(_OPEN):
        return message
    return replace(message, content=rest.lstrip())
