"""Qwen3-Coder: ChatML, functions in XML tags.

Source: the chat template of Qwen/Qwen3-Coder-30B-A3B-Instruct; JSON without spaces as Ollama writes it.
"""

from __future__ import annotations

from collections.abc import Iterator

from puna.chat.prompt import Prompt
from puna.types import Message

from . import chatml
from .reading import calls, ends_with_answer, functions, steps
from .xml_functions import HOW_TO_CALL, call_text, declarations

_DEFAULT = "You are Qwen, a helpful AI assistant that can interact with a computer to solve tasks."


def qwen3_coder(prompt: Prompt) -> Iterator[str]:
    """The prompt in pieces; these models do not think."""
    system = next((each.content for each in prompt.messages if each.role == "system" and each.content), "")
    messages = [message for message in prompt.messages if message.role != "system"]
    tools = functions(prompt)
    if tools:
        text = system or _DEFAULT
        listed = "".join(declarations(tools))
        introduction = "# Tools\n\nYou have access to the following functions:"
        yield chatml.turn("system", f"{text}\n\n{introduction}\n\n{listed}{HOW_TO_CALL}")
    elif system:
        yield chatml.turn("system", system)

    open_end = ends_with_answer(messages)
    for _, together in steps(messages):
        message = together[0]
        if message.role == "tool":
            yield chatml.tool_responses(each.content for each in together)
        elif open_end and message is messages[-1] and not message.tool_calls:
            yield f"{chatml.ANSWER}{message.content}"
        else:
            yield chatml.turn(message.role, _content(message))
    if messages and not open_end:
        yield chatml.ANSWER


def _content(message: Message) -> str:
    if not message.tool_calls:
        return message.content
    before = f"{message.content}\n" if message.content else ""
    return before + "".join(f"\n{call_text(call)}" for call in calls(message))
