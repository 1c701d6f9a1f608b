"""The rule by which a conversation is cut to the context (Ollama server/prompt.go, chatPrompt)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec

from puna.errors import BadRequest
from puna.types import Message

from .pictures import PICTURE
from .prompt import Prompt, Template

_LONGEST = 24
"""Bytes that the tokens of no real text have on average: longer ones need not be counted to be too long."""


async def fit(
    template: Template, prompt: Prompt, count: Callable[[str], Awaitable[int]], num_ctx: int
) -> tuple[str, list[Message]]:
    """The text of `prompt` with its oldest messages left out until it has at most `num_ctx` tokens, and the
    messages that are in it.

    System messages and the last message always stay, even when they alone are longer. `count` gives a text's
    tokens; it is asked once when everything fits, and never when the text has fewer bytes than `num_ctx` or
    so many that it cannot fit.
    """
    text = template.render(prompt)
    if await _fits(text, count, num_ctx):
        return text, prompt.messages
    # Too much stays when messages before `low` go; those before `high` may go whatever is left.
    low, high, shortest = 0, max(0, len(prompt.messages) - 1), None
    while high - low > 1:
        middle = (low + high) // 2
        text, kept = _without(template, prompt, middle)
        if await _fits(text, count, num_ctx):
            high, shortest = middle, (text, kept)
        else:
            low = middle
    return _without(template, prompt, high) if shortest is None else shortest


async def _fits(text: str, count: Callable[[str], Awaitable[int]], num_ctx: int) -> bool:
    size = len(text.encode())
    if size > _LONGEST * num_ctx:
        return False
    # A token is at least one byte, and one more may be the model's begin token.
    return (size < num_ctx and PICTURE not in text) or await count(text) <= num_ctx


def _without(template: Template, prompt: Prompt, start: int) -> tuple[str, list[Message]]:
    """The text without the messages before `start`, system messages excepted, and the messages in it.

    Some templates refuse a conversation that begins with an answer: then more are left out.
    """
    messages = prompt.messages
    while True:
        kept = [message for message in messages[:start] if message.role == "system"] + messages[start:]
        try:
            return template.render(msgspec.structs.replace(prompt, messages=kept)), kept
        except BadRequest:
            if start >= len(messages) - 1:
                raise
            start += 1
