"""NVIDIA's Nemotron 3 Nano and 3.5 Nano: ChatML, functions in XML tags, every answer with a thinking block.

Source: the chat templates of nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16 and its 3.5 successor. Thinking
before the last question is emptied. In 3 the user may write `/think` and `/no_think`, in 3.5 the effort is
in the last question.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from puna.chat.prompt import Prompt
from puna.types import Message

from . import chatml
from .reading import calls, functions, last_index, split_leading, steps, thinks, with_markers
from .tool_json import spaced
from .xml_functions import HOW_TO_CALL, call_text, declarations

_NONE = "<think></think>"


def nemotron3(prompt: Prompt) -> Iterator[str]:
    """3 Nano: thinks unless the request, or `/no_think` in a message, says otherwise."""
    return _write(prompt, newer=False)


def nemotron3_5(prompt: Prompt) -> Iterator[str]:
    """3.5 Nano: thinks unless it is told not to; "medium" asks for less of it."""
    return _write(prompt, newer=True)


def _write(prompt: Prompt, *, newer: bool) -> Iterator[str]:
    thinking = thinks(prompt, default=True) if newer else _thinking(prompt)
    system, messages = split_leading(prompt.messages)
    instructions = system.content if system else ""
    parts = [instructions if newer else _without_switches(instructions)]
    tools = functions(prompt)
    if tools:
        listed = "".join(
            declarations(tools, _print, first=("type", "description", "enum"), last=("required",))
        )
        parts.append(f"# Tools\n\nYou have access to the following functions:\n\n{listed}{HOW_TO_CALL}")
    yield chatml.turn("system", "\n\n".join(filter(None, parts)))

    question = last_index(messages, "user")
    for index, together in steps(messages):
        message = together[0]
        if message.role == "tool":
            answers = "".join(
                f"<tool_response>\n{with_markers(each)}\n</tool_response>\n" for each in together
            )
            # Tools' answers without a preceding message open no turn.
            yield (f"{chatml.START}user\n" if index else "") + answers + chatml.END
        elif message.role == "assistant":
            yield chatml.ANSWER + _answer(message, newer=newer, emptied=index < question) + chatml.END
        else:
            text = with_markers(message)
            if not newer:
                text = _without_switches(text).strip()
            elif index == question and prompt.think == "medium":
                text += "\n\n{reasoning effort: efficient}"
            yield chatml.turn(message.role, text)
    yield f"{chatml.ANSWER}<think>\n" if thinking else f"{chatml.ANSWER}{_NONE}"


def _answer(message: Message, *, newer: bool, emptied: bool) -> str:
    text = message.content
    if message.thinking:
        end = "</think>" if newer else "\n</think>\n"
        text = f"<think>\n{message.thinking}{end}{text}"
    elif "<think>" not in text and "</think>" not in text:
        text = f"{_NONE}{text}"
    if emptied and message.tool_calls:
        kept = text.rpartition("</think>")[2] if "</think>" in text else text.partition("<think>")[0]
        text = _NONE + kept.strip()
    elif emptied and "<think>" in text and "</think>" in text:
        text = _NONE + text.rpartition("</think>")[2]
    made = "".join(f"{call_text(call, _print)}\n" for call in calls(message))
    return f"{text.strip()}\n{made}" if made else text.strip()


def _thinking(prompt: Prompt) -> bool:
    """The request's setting, unless a message overrides it; the last override counts."""
    thinking = thinks(prompt, default=True)
    for message in prompt.messages:
        if message.role in ("user", "system"):
            if "/think" in message.content.replace("</think>", ""):
                thinking = True
            elif "/no_think" in message.content:
                thinking = False
    return thinking


def _without_switches(text: str) -> str:
    parts = text.split("</think>")
    return "</think>".join(part.replace("/think", "").replace("/no_think", "") for part in parts)


def _print(key: str, value: Any) -> str:
    """Objects and lists as JSON; other values, and lists of types, as Python prints them."""
    if isinstance(value, str):
        return value.strip() if key == "description" else value
    return (
        spaced(value) if key == "items" or (isinstance(value, (dict, list)) and key != "type") else str(value)
    )
