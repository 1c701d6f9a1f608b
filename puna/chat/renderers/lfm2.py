"""Liquid's LFM2 and LFM2.5: ChatML, tools as a list in the system message, calls as Python calls.

Source: the chat templates of LiquidAI/LFM2-8B-A1B and LFM2.5-8B-A1B, with the tool tokens Ollama keeps.
"""

from __future__ import annotations

from collections.abc import Iterator

from puna.chat.prompt import Prompt
from puna.types import Message

from . import chatml
from .reading import RenderedCall, calls, ends_with_answer, last_index, split_leading, thinks, with_markers
from .tool_json import spaced


def lfm2(prompt: Prompt) -> Iterator[str]:
    """For models that do not think."""
    return _write(prompt, thinking=False)


def lfm2_thinking(prompt: Prompt) -> Iterator[str]:
    """For models that think. Unless the request asks for thinking, only the last answer keeps its own."""
    return _write(prompt, thinking=True)


def _write(prompt: Prompt, *, thinking: bool) -> Iterator[str]:
    system, messages = split_leading(prompt.messages)
    instructions = [system.content] if system and system.content else []
    if prompt.tools:
        listed = ", ".join(spaced(tool.get("function") or tool) for tool in prompt.tools)
        instructions.append(f"List of tools: <|tool_list_start|>[{listed}]<|tool_list_end|>")
    yield "<|startoftext|>"
    if instructions:
        yield chatml.turn("system", "\n".join(instructions))

    kept = thinking and thinks(prompt, default=False)
    answered = last_index(messages, "assistant")
    open_end = ends_with_answer(messages)
    for index, message in enumerate(messages):
        if message.role == "assistant":
            text = answer_text(message)
            if thinking and message.thinking and "</think>" not in text:
                text = f"<think>{message.thinking}</think>{text}"
            if not kept and index != answered and "</think>" in text:
                text = text.rpartition("</think>")[2].strip()
        else:
            text = with_markers(message)
            if message.role == "tool" and "<|tool_response_start|>" not in text:
                text = f"<|tool_response_start|>{text}<|tool_response_end|>"
        yield f"{chatml.START}{message.role}\n{text}"
        yield "" if open_end and index == len(messages) - 1 else chatml.END
    if not open_end:
        yield chatml.ANSWER


def answer_text(message: Message) -> str:
    """Calls, then text: the order in which these models write."""
    text = with_markers(message)
    if message.tool_calls and "<|tool_call_start|>" not in text:
        made = ",".join(map(_call_text, calls(message)))
        text = f"<|tool_call_start|>[{made}]<|tool_call_end|>" + (f"\n{text}" if text.strip() else text)
    return text


def _call_text(call: RenderedCall) -> str:
    return f"{call.name}({','.join(f'{name}={spaced(value)}' for name, value in call.arguments.items())})"
