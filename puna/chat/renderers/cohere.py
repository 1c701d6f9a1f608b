"""Cohere's Command A and North: text, thinking, actions and results, each between its own tokens.

Source: the chat template of CohereLabs/North-Mini-Code-1.0. Calls are numbered through the conversation.
"""

from __future__ import annotations

from collections.abc import Iterator

from puna.chat.prompt import Prompt
from puna.types import Message

from .reading import (
    RenderedCall,
    RenderedFunction,
    calls,
    ends_with_answer,
    functions,
    split_leading,
    steps,
    thinks,
)
from .tool_json import spaced

_START = "<|START_OF_TURN_TOKEN|>"
_END = "<|END_OF_TURN_TOKEN|>"


def cohere(prompt: Prompt) -> Iterator[str]:
    """The prompt in pieces. Thinks unless it is told not to."""
    system, messages = split_leading(prompt.messages)
    yield f"{_START}<|SYSTEM_TOKEN|><|START_TEXT|>"
    if system and system.content:
        yield f"{system.content}\n\n\n\n"
    listed = ",\n\n".join(f"\n    {_declaration(function)}" for function in functions(prompt))
    yield f"# Available Tools\n```json\n[\n{listed}\n\n\n]\n```<|END_TEXT|>{_END}"

    numbers: dict[str, int] = {}
    made = 0
    open_end = ends_with_answer(messages) and not messages[-1].tool_calls
    for _, together in steps(messages):
        message = together[0]
        if message.role == "tool":
            results = ",".join(_result(each, numbers) for each in together)
            yield f"{_START}<|SYSTEM_TOKEN|><|START_TOOL_RESULT|>[{results}\n\n]<|END_TOOL_RESULT|>{_END}"
        elif message.role == "assistant" and message.tool_calls:
            actions = calls(message)
            for number, call in enumerate(actions, made):
                if call.id:
                    numbers.setdefault(call.id, number)
            yield f"{_START}<|CHATBOT_TOKEN|>\n            \n                {_thought(message)}"
            yield f"<|START_ACTION|>[{_actions(actions, made)}\n\n]<|END_ACTION|>{_END}"
            made += len(actions)
        elif message.role == "assistant":
            yield f"{_START}<|CHATBOT_TOKEN|>{_thought(message)}<|START_TEXT|>{message.content}"
            yield "" if open_end and message is messages[-1] else f"<|END_TEXT|>{_END}"
        else:
            token = "<|SYSTEM_TOKEN|>" if message.role == "system" else "<|USER_TOKEN|>"
            yield f"{_START}{token}<|START_TEXT|>{message.content}<|END_TEXT|>{_END}"
    if not open_end:
        yield f"{_START}<|CHATBOT_TOKEN|><|START_THINKING|>"
        yield "" if thinks(prompt, default=True) else "<|END_THINKING|>"


def _declaration(function: RenderedFunction) -> str:
    return spaced(
        {
            "name": function.name,
            "description": function.description,
            "parameters": function.parameters,
            "responses": None,
        }
    )


def _thought(message: Message) -> str:
    return f"<|START_THINKING|>{message.thinking}<|END_THINKING|>" if message.thinking else ""


def _actions(actions: list[RenderedCall], first: int) -> str:
    return ",".join(
        f'\n\n    {{"tool_call_id": "{number}", "tool_name": "{call.name}", '
        f'"parameters": {spaced(call.arguments)}}}'
        for number, call in enumerate(actions, first)
    )


def _result(message: Message, numbers: dict[str, int]) -> str:
    number = numbers.get(message.tool_call_id, message.tool_call_id)
    result = spaced({"content": message.content})
    return (
        f'\n    {{\n        "tool_call_id": "{number}",\n        "results": {{\n\n            \n'
        f'            "0": {result}\n\n        }},\n        "is_error": null\n    }}'
    )
