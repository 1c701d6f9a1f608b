"""DeepSeek-V3.1: one token a turn, earlier thinking dropped, `</think>` where an answer has none.

Source: the chat template of deepseek-ai/DeepSeek-V3.1 and its tool call prompt.
"""

from __future__ import annotations

from collections.abc import Iterator

from puna.chat.prompt import Prompt
from puna.types import Message

from .reading import calls, functions, last_index, thinks
from .tool_json import compact

_HOW_TO_CALL = """
IMPORTANT: ALWAYS adhere to this exact format for tool use:
<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>tool_call_name<｜tool▁sep｜>tool_call_arguments<｜tool▁call▁end｜>\
{{additional_tool_calls}}<｜tool▁calls▁end｜>

Where:

- `tool_call_name` must be an exact match to one of the available tools
- `tool_call_arguments` must be valid JSON that strictly follows the tool's Parameters Schema
- For multiple tool calls, chain them directly without separators or spaces
"""
_END = "<｜end▁of▁sentence｜>"


def deepseek3(prompt: Prompt) -> Iterator[str]:
    """The prompt in pieces. Thinks only if it is asked to."""
    messages = prompt.messages
    thinking = thinks(prompt, default=False)
    yield "<｜begin▁of▁sentence｜>"
    yield "\n\n".join(message.content for message in messages if message.role == "system")
    tools = functions(prompt)
    if tools:
        yield "\n\n## Tools\nYou have access to the following tools:\n"
        for tool in tools:
            yield f"\n### {tool.name}\nDescription: {tool.description}"
            yield f"\n\nParameters: {compact(tool.parameters)}\n"
        yield _HOW_TO_CALL

    question = last_index(messages, "user")
    before = ""
    for index, message in enumerate(messages):
        if message.role == "user":
            yield f"<｜User｜>{message.content}"
        elif message.role == "tool":
            yield f"<｜tool▁output▁begin｜>{message.content}<｜tool▁output▁end｜>"
        elif message.role == "assistant":
            if before == "user":
                yield "<｜Assistant｜>"
                yield _thought(message, thinking=thinking and index > question)
            yield _answer(message, after_tool=before == "tool") + _END
        if message.role != "system":
            before = message.role
    # After a tool's output, the model continues without a new turn.
    if before == "user":
        yield "<｜Assistant｜><think>" if thinking else "<｜Assistant｜></think>"


def _thought(message: Message, *, thinking: bool) -> str:
    if not thinking or not message.thinking or message.tool_calls:
        return "</think>"
    return f"<think>{message.thinking}" + ("</think>" if message.content else "")


def _answer(message: Message, *, after_tool: bool) -> str:
    if message.tool_calls:
        made = "".join(
            f"<｜tool▁call▁begin｜>{call.name}<｜tool▁sep｜>{compact(call.arguments)}<｜tool▁call▁end｜>"
            for call in calls(message)
        )
        return f"{message.content}<｜tool▁calls▁begin｜>{made}<｜tool▁calls▁end｜>"
    _, tag, after = message.content.partition("</think>")
    return after if tag and not after_tool else message.content
