"""Messages and tools that several tests render."""

from __future__ import annotations

from typing import Any

from puna.chat import Prompt
from puna.types import Message


def chat(*turns: str, **more: Any) -> Prompt:
    """A prompt of `role: text` turns."""
    messages = []
    for turn in turns:
        role, _, content = turn.partition(": ")
        messages.append(Message(role=role, content=content))
    return Prompt(messages=messages, **more)


WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a <city>",
        "parameters": {
            "type": "object",
            "required": ["city"],
            "properties": {
                "city": {"type": "string", "description": "Where, e.g. 東京"},
                "days": {"type": ["integer", "null"], "enum": [1, 2]},
            },
        },
    },
}

CALL = Message(
    role="assistant",
    tool_calls=[{"function": {"name": "get_weather", "arguments": {"city": "東京", "days": 2}}}],
)
ANSWER = Message(role="tool", content="sunny", tool_name="get_weather")


def tool_chat(**more: Any) -> Prompt:
    """A question, the model's call, the tool's answer."""
    question = Message(role="user", content="How is the weather?")
    return Prompt(messages=[question, CALL, ANSWER], tools=[WEATHER], **more)
