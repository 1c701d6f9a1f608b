"""Qwen3-VL: ChatML, tools and calls as JSON in tags, thinking kept since the last question.

Source: the chat templates of Qwen/Qwen3-VL-30B-A3B-Instruct and -Thinking.
"""

from __future__ import annotations

from collections.abc import Iterator

from puna.chat.prompt import Prompt
from puna.types import Message

from . import chatml
from .reading import RenderedCall, calls, ends_with_answer, split_leading, steps, thinks, with_markers
from .tool_json import spaced

_TOOLS = """# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>"""
_HOW_TO_CALL = """
</tools>

For each function call, return a json object with function name and arguments within <tool_call></tool_call> \
XML tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>"""

_LINE = "\n"


def instruct(prompt: Prompt) -> Iterator[str]:
    """Instruct models: think only if they are asked to."""
    return _write(prompt, thinking=thinks(prompt, default=False))


def thinking(prompt: Prompt) -> Iterator[str]:
    """Thinking models: think unless they are told not to."""
    return _write(prompt, thinking=thinks(prompt, default=True))


def last_question(messages: list[Message]) -> int:
    """The index of the user's last question; a tool's answer in a user turn is no question."""
    for index in range(len(messages) - 1, -1, -1):
        text = messages[index].content.strip()
        answers = text.startswith("<tool_response>") and text.endswith("</tool_response>")
        if messages[index].role == "user" and not answers:
            return index
    return len(messages) - 1


def _write(prompt: Prompt, *, thinking: bool) -> Iterator[str]:
    system, messages = split_leading(prompt.messages)
    if prompt.tools:
        before = f"{system.content}\n\n" if system else ""
        listed = "".join(f"\n{spaced(tool)}" for tool in prompt.tools)
        yield chatml.turn("system", f"{before}{_TOOLS}{listed}{_HOW_TO_CALL}")
    elif system:
        yield chatml.turn("system", system.content)

    question = last_question(messages)
    open_end = ends_with_answer(messages)
    for index, together in steps(messages):
        message = together[0]
        if message.role == "tool":
            yield chatml.tool_responses(with_markers(each) for each in together)
        elif message.role != "assistant":
            yield chatml.turn(message.role, with_markers(message))
        else:
            last = index == len(messages) - 1
            yield chatml.ANSWER + _answer(message, thinking=thinking and index > question, last=last)
            yield "" if last and open_end else chatml.END
    if not open_end:
        yield f"{chatml.ANSWER}<think>\n" if thinking else chatml.ANSWER


def _answer(message: Message, *, thinking: bool, last: bool) -> str:
    text = with_markers(message)
    text_and_calls = "\n".join([*([text] if text else []), *map(_call_text, calls(message))])
    if not thinking or not (last or message.thinking):
        return text_and_calls
    thought = "<think>\n" + message.thinking.strip("\n")
    return f"{thought}\n</think>\n\n{text_and_calls.lstrip(_LINE)}" if text_and_calls else thought


def _call_text(call: RenderedCall) -> str:
    return f'<tool_call>\n{{"name": "{call.name}", "arguments": {spaced(call.arguments)}}}\n</tool_call>'
