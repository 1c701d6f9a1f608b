"""Fits a conversation into the context (Ollama server/prompt.go, chatPrompt)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from puna.errors import BadRequest
from puna.types import BYTES_PER_TOKEN, Message

from .pictures import MEDIA_MARKER
from .prompt import Prompt, Template

_MANY_MESSAGES, _MANY_CHARACTERS = 32, 1 << 14
"""From here on, rendering takes longer than handing it to a thread."""


async def render(template: Template, prompt: Prompt) -> str:
    """The text of `prompt`. A long one is made in a thread, because other answers must go on meanwhile."""
    messages = prompt.messages
    if len(messages) < _MANY_MESSAGES and sum(len(each.content) for each in messages) < _MANY_CHARACTERS:
        return template.render(prompt)
    return await asyncio.to_thread(template.render, prompt)


async def fit(
    template: Template, prompt: Prompt, count: Callable[[str], Awaitable[int]], num_ctx: int
) -> tuple[str, list[Message]]:
    """The text of `prompt` in at most `num_ctx` tokens, and the messages that remain in it.

    System messages and the last message always remain, even if they are too long. `count` counts a text's
    tokens. It is called once if everything fits, and never for a text whose length in bytes already decides.
    """
    text = await render(template, prompt)
    if await _fits(text, count, num_ctx):
        return text, prompt.messages
    # Bisection: dropping the messages before `low` is not enough, before `high` is enough or the most.
    low, high, shortest = 0, max(0, len(prompt.messages) - 1), None
    while high - low > 1:
        middle = (low + high) // 2
        text, kept = await _without(template, prompt, middle)
        if await _fits(text, count, num_ctx):
            high, shortest = middle, (text, kept)
        else:
            low = middle
    return await _without(template, prompt, high) if shortest is None else shortest


async def _fits(text: str, count: Callable[[str], Awaitable[int]], num_ctx: int) -> bool:
    size = len(text.encode())
    if size > BYTES_PER_TOKEN * num_ctx:
        return False
    # A token has at least one byte, and a BOS token may come on top.
    return (size < num_ctx and MEDIA_MARKER not in text) or await count(text) <= num_ctx


async def _without(template: Template, prompt: Prompt, start: int) -> tuple[str, list[Message]]:
    """The text without the messages before `start` except system messages, and the remaining messages.

    Drops more if the template refuses the rest; some refuse a conversation that begins with an answer.
    """
    messages = prompt.messages
    while True:
        kept = [message for message in messages[:start] if message.role == "system"] + messages[start:]
        try:
            return await render(template, msgspec.structs.replace(prompt, messages=kept)), kept
        except BadRequest:
            if start >= len(messages) - 1:
                raise
            start += 1
