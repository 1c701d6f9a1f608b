"""GLM 4.6, 4.7 and GLM-OCR: `<|user|>`-style marks, calls as key and value tags.

Source: the chat templates of zai-org/GLM-4.6, zai-org/GLM-4.7-Flash and zai-org/GLM-OCR. No mark ends an
answer: the next turn's does. Thinking: 4.6 keeps it since the last question, 4.7 and OCR keep all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from puna.chat.prompt import Prompt, is_continued
from puna.types import Message

from .reading import RenderedCall, calls, last_index, steps, thinks, with_markers
from .tool_json import bare, compact, spaced

_TOOLS = """<|system|>
# Tools

You may call one or more functions to assist with the user query.

You are provided with function signatures within <tools></tools> XML tags:
<tools>
"""
_HOW_TO_CALL = """</tools>

For each function call, output the function name and arguments within the following XML format:
<tool_call>{function-name}"""
_PAIRS = [
    "<arg_key>{arg-key-1}</arg_key>",
    "<arg_value>{arg-value-1}</arg_value>",
    "<arg_key>{arg-key-2}</arg_key>",
    "<arg_value>{arg-value-2}</arg_value>",
    "...",
    "</tool_call>",
]


def glm4_6(prompt: Prompt) -> Iterator[str]:
    """The prompt of GLM 4.6. Whether to think is the model's choice, unless it is told not to."""
    messages = prompt.messages
    silent = prompt.think is False
    yield "[gMASK]<sop>"
    if prompt.tools:
        yield f"{_TOOLS}{_lines(map(compact, prompt.tools))}{_HOW_TO_CALL}\n" + "\n".join(_PAIRS)

    question = last_index(messages, "user")
    for index, together in steps(messages):
        message = together[0]
        if message.role == "user":
            yield f"<|user|>\n{message.content}{_switch(message, silent=silent)}"
        elif message.role == "tool":
            answers = (f"\n<tool_response>\n{each.content}\n</tool_response>" for each in together)
            yield "<|observation|>" + "".join(answers)
        elif message.role == "assistant":
            yield "<|assistant|>"
            if index > question:
                yield f"\n<think>{message.thinking}</think>"
            if message.content:
                yield f"\n{message.content}"
            yield from (
                f"\n<tool_call>{call.name}\n{pairs(call, ends=_LINE)}</tool_call>" for call in calls(message)
            )
        else:
            yield f"<|system|>\n{message.content}"
    if not is_continued(messages):
        yield "<|assistant|>\n<think></think>\n" if silent else "<|assistant|>"


def glm4_7(prompt: Prompt) -> Iterator[str]:
    """The prompt of GLM 4.7. Thinks unless it is told not to."""
    messages = prompt.messages
    yield "[gMASK]<sop>"
    yield from _tools_on_one_line(prompt.tools)
    for _, together in steps(messages):
        message = together[0]
        if message.role == "user":
            yield f"<|user|>{message.content}"
        elif message.role == "tool":
            answers = (f"<tool_response>{each.content}</tool_response>" for each in together)
            yield "<|observation|>" + "".join(answers)
        elif message.role == "assistant":
            thought = f"<think>{message.thinking}" if message.thinking else ""
            yield f"<|assistant|>{thought}</think>{message.content}"
            yield from (f"<tool_call>{call.name}{pairs(call)}</tool_call>" for call in calls(message))
        else:
            yield f"<|system|>{message.content}"
    yield "<|assistant|><think>" if thinks(prompt, default=True) else "<|assistant|></think>"


def glm_ocr(prompt: Prompt) -> Iterator[str]:
    """The prompt of GLM-OCR, with pictures. Whether to think is as in 4.6."""
    messages = prompt.messages
    silent = prompt.think is False
    yield "[gMASK]<sop>"
    yield from _tools_on_one_line(prompt.tools)
    for _, together in steps(messages):
        message = together[0]
        if message.role == "user":
            yield f"<|user|>\n{with_markers(message)}{_switch(message, silent=silent)}"
        elif message.role == "tool":
            answers = (f"\n<tool_response>\n{with_markers(each)}\n</tool_response>\n" for each in together)
            yield "<|observation|>" + "".join(answers)
        elif message.role == "assistant":
            yield f"<|assistant|>\n<think>{message.thinking.strip()}</think>"
            if message.content:
                yield f"\n{message.content.strip()}"
            yield from (f"\n<tool_call>{call.name}{pairs(call)}</tool_call>" for call in calls(message))
            yield "\n"
        else:
            yield f"<|system|>\n{message.content}\n"
    yield "<|assistant|>\n<think></think>\n" if silent else "<|assistant|>\n"


_LINE = "\n"


def _lines(texts: Iterator[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def _tools_on_one_line(tools: list[dict[str, Any]] | None) -> Iterator[str]:
    if tools:
        yield f"{_TOOLS}{_lines(map(spaced, tools))}{_HOW_TO_CALL}" + "".join(_PAIRS)


def _switch(question: Message, *, silent: bool) -> str:
    """The text that tells the model not to think about a question."""
    return "/nothink" if silent and not question.content.endswith("/nothink") else ""


def pairs(call: RenderedCall, *, ends: str = "", json: Callable[[Any], str] = compact) -> str:
    """The keys and values of a call."""
    return "".join(
        f"<arg_key>{name}</arg_key>{ends}<arg_value>{bare(value, json)}</arg_value>{ends}"
        for name, value in call.arguments.items()
    )
