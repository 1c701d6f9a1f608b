"""Ministral 3: `[INST]` turns, calls by name, thinking between `[THINK]` and `[/THINK]`.

Source: the chat template of mistralai/Ministral-3-14B-Reasoning-2512. Earlier thinking is kept. A model that
is told to think gets the template's own system message when the conversation has none.
"""

from __future__ import annotations

from collections.abc import Iterator

from puna.chat.pictures import with_markers
from puna.chat.prompt import Prompt, is_continued
from puna.types import Message

from .reading import calls, split_leading, thinks
from .tool_json import spaced

_HOW_TO_THINK = """# HOW YOU SHOULD THINK AND ANSWER

First draft your thinking process (inner monologue) until you arrive at a response. Format your response \
using Markdown, and use LaTeX for any mathematical equations. Write both your thoughts and the response in \
the same language as the input.

Your thinking process must follow the template below:[THINK]Your thoughts or/and draft, like working through \
an exercise on scratch paper. Be as casual and as long as you want until you are confident to generate the \
response to the user.[/THINK]Here, provide a self-contained response."""


def ministral(prompt: Prompt) -> Iterator[str]:
    """The prompt in pieces. `think` counts only where the conversation has no system message."""
    system, messages = split_leading(prompt.messages)
    instructions = system.content if system else _HOW_TO_THINK if thinks(prompt, default=False) else ""
    yield "<s>"
    if instructions:
        yield f"[SYSTEM_PROMPT]{instructions}[/SYSTEM_PROMPT]"
    if prompt.tools:
        yield f"[AVAILABLE_TOOLS]{spaced(prompt.tools)}[/AVAILABLE_TOOLS]"

    open_end = is_continued(messages)
    for index, message in enumerate(messages):
        if message.role == "user":
            yield f"[INST]{with_markers(message)}[/INST]"
        elif message.role == "tool":
            yield f"[TOOL_RESULTS]{message.content}[/TOOL_RESULTS]"
        elif message.role == "assistant":
            goes_on = open_end and index == len(messages) - 1
            yield _thought(message, goes_on=goes_on)
            yield message.content
            yield from (f"[TOOL_CALLS]{call.name}[ARGS]{spaced(call.arguments)}" for call in calls(message))
            yield "" if goes_on else "</s>"
        else:
            yield f"[SYSTEM_PROMPT]{message.content}[/SYSTEM_PROMPT]"


def _thought(message: Message, *, goes_on: bool) -> str:
    if not message.thinking:
        return ""
    return f"[THINK]{message.thinking}" + ("" if goes_on and not message.content else "[/THINK]")
