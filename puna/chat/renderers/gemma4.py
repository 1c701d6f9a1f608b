"""Gemma 4: `<|turn>` marks, thinking in a channel, calls and their responses inside the model's turn.

Source: the chat templates of google/gemma-4-E2B-it (small) and google/gemma-4-31B-it (large). They differ
in one point: large ones get an empty thinking channel when they must not think.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

from puna.chat.prompt import Prompt
from puna.types import Message

from .gemma4_schema import MARK, declaration
from .gemma_values import gemma_text
from .reading import RenderedCall, calls, functions, last_index, split_leading, thinks, with_markers

_THOUGHT = re.compile(r"<\|channel>.*?(?:<channel\|>|\Z)", re.DOTALL)


def small(prompt: Prompt) -> Iterator[str]:
    """The prompt below 12 billion parameters. Thinks only if it is asked to."""
    return _write(prompt, unthinking="")


def large(prompt: Prompt) -> Iterator[str]:
    """The prompt from 12 billion parameters on. Thinks only if it is asked to."""
    return _write(prompt, unthinking="<|channel>thought\n<channel|>")


def _write(prompt: Prompt, *, unthinking: str) -> Iterator[str]:
    thinking = thinks(prompt, default=False)
    system, messages = split_leading(prompt.messages, "system", "developer")
    yield "<bos>"
    if system or prompt.tools or thinking:
        yield "<|turn>system\n" + ("<|think|>\n" if thinking else "")
        yield system.content.strip() if system else ""
        yield from (f"<|tool>{declaration(function)}<tool|>" for function in functions(prompt))
        yield "<turn|>\n"

    question = last_index(messages, "user")
    spoken = [(index, message) for index, message in enumerate(messages) if message.role != "tool"]
    before = ""
    answers: list[Message] = []
    for place, (index, message) in enumerate(spoken):
        role = "model" if message.role == "assistant" else message.role
        yield "" if role == "model" and before == "assistant" else f"<|turn>{role}\n"
        before = message.role

        if role == "model" and message.thinking and index > question:
            yield f"<|channel>thought\n{message.thinking}\n<channel|>"
        made = calls(message)
        yield "".join(
            f"<|tool_call>call:{each.name}{gemma_text(each.arguments, MARK)}<tool_call|>" for each in made
        )
        answers = list(takewhile(lambda each: each.role == "tool", messages[index + 1 :] if made else []))
        yield from (_response(each, made) for each in answers)

        text_and_calls = _THOUGHT.sub("", message.content) if role == "model" else message.content
        text = with_markers(message, text_and_calls.strip())
        yield text
        following = spoken[place + 1][1].role if place + 1 < len(spoken) else ""
        if made and not answers:
            yield "<|tool_response>"
        elif role == "model" and following == "assistant":
            continue
        elif not (answers and not text and not following):
            yield "<turn|>\n"

    if not answers and spoken and spoken[-1][1].tool_calls:
        return  # the model's turn is open where a response follows
    if answers:
        yield "<|channel>thought\n" if thinking else ""
    else:
        yield f"<|turn>model\n{'' if thinking else unthinking}"


def _response(message: Message, made: list[RenderedCall]) -> str:
    names = (call.name for call in made if message.tool_call_id and call.id == message.tool_call_id)
    name = next(names, message.tool_name or "unknown")
    return (
        f"<|tool_response>response:{name}{{value:{gemma_text(with_markers(message), MARK)}}}<tool_response|>"
    )
