"""Cogito v2.1: DeepSeek's tokens; the system message requests thinking.

Source: the chat template of deepcogito/cogito-671b-v2.1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from puna.chat.prompt import Prompt
from puna.types import Message

from .reading import calls, split_leading, steps, thinks
from .tool_json import compact

_IDENTITY = (
    "You are Cogito, an AI assistant created by Deep Cogito, "
    "which is an AI research lab based in San Francisco."
)
_END = "<｜end▁of▁sentence｜>"


def cogito(prompt: Prompt) -> Iterator[str]:
    """The prompt in pieces. Thinks only if it is asked to."""
    thinking = thinks(prompt, default=False)
    system, messages = split_leading(prompt.messages)
    yield "<｜begin▁of▁sentence｜>"
    yield f"Enable deep thinking subroutine.\n\n{_IDENTITY}" if thinking else _IDENTITY
    if system and system.content:
        yield f"\n\n{system.content}" + ("\n\n" if thinking else "")
    if prompt.tools:
        yield "\nYou have the following functions available:\n"
        yield from (
            f"```json\n{json.dumps(tool, ensure_ascii=False, indent=4)}\n```\n" for tool in prompt.tools
        )

    messages = [message for message in messages if message.role != "system"]
    for _, together in steps(messages):
        message = together[0]
        if message.role == "user":
            yield f"<｜User｜>{message.content}<｜Assistant｜>"
        elif message.role == "tool":
            outputs = (f"<｜tool▁output▁begin｜>{each.content}<｜tool▁output▁end｜>" for each in together)
            yield "<｜tool▁outputs▁begin｜>" + "\n".join(outputs) + "<｜tool▁outputs▁end｜>"
        elif message.role == "assistant":
            yield _answer(message) + _END
    if not messages or messages[-1].role != "user":
        yield "<｜Assistant｜>"
    if thinking:
        yield "<think>\n"


def _answer(message: Message) -> str:
    made = "\n".join(
        f"<｜tool▁call▁begin｜>function<｜tool▁sep｜>{call.name}\n```json\n{compact(call.arguments)}\n```"
        "<｜tool▁call▁end｜>"
        for call in calls(message)
    )
    return message.content + (f"<｜tool▁calls▁begin｜>{made}<｜tool▁calls▁end｜>" if made else "")
