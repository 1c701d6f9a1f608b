"""Ai2's Olmo 3: ChatML, tools' answers from the "environment", calls as Python calls.

Source: the chat templates of allenai/Olmo-3-7B-Instruct, Olmo-3.1-32B-Instruct, Olmo-3-7B-Think and
Olmo-3-32B-Think. The Think models have no tools and always think; only the first system message counts.
"""

from __future__ import annotations

from collections.abc import Iterator

from puna.chat.prompt import Prompt
from puna.types import Message

from . import chatml
from .reading import RenderedCall, calls, ends_with_answer
from .tool_json import compact, spaced

_OLMO = (
    "You are Olmo, a helpful AI assistant built by Ai2. Your date cutoff is December 2024, and your model "
    "weights are available at https://huggingface.co/allenai."
)
_CALLER = "You are a helpful function-calling AI assistant. "
_NO_FUNCTIONS = "You do not currently have access to any functions. "
_FUNCTIONS = (
    "You are provided with function signatures within <functions></functions> XML tags. You may call one "
    "or more functions to assist with the user query. Output any function calls within "
    "<function_calls></function_calls> XML tags. Do not make assumptions about what values to plug into "
    "functions."
)


def olmo3(prompt: Prompt) -> Iterator[str]:
    """3 Instruct: without a system message it is told that it calls functions."""
    return _instruct(prompt, _CALLER)


def olmo3_1(prompt: Prompt) -> Iterator[str]:
    """3.1 Instruct: without a system message it is told that it is Olmo."""
    return _instruct(prompt, f"{_OLMO} ")


def olmo3_think(prompt: Prompt) -> Iterator[str]:
    """7B Think: without a system message it is told that it is Olmo."""
    return _think(prompt, _OLMO)


def olmo3_32b_think(prompt: Prompt) -> Iterator[str]:
    """32B Think: without a system message it is told only that it is an assistant."""
    return _think(prompt, "You are a helpful AI assistant.")


def _instruct(prompt: Prompt, default: str) -> Iterator[str]:
    system, messages = _split_system(prompt.messages)
    listed = f"<functions>{spaced(prompt.tools)}</functions>" if prompt.tools else ""
    if system:
        yield chatml.turn("system", f"{system.content}{listed}")
    elif listed:
        yield chatml.turn("system", f"{default}{_FUNCTIONS}{listed}")
    else:
        yield chatml.turn("system", f"{default}{_NO_FUNCTIONS}<functions></functions>")

    open_end = ends_with_answer(messages) and not messages[-1].tool_calls
    for message in messages:
        if message.role == "tool":
            yield chatml.turn("environment", message.content)
        elif message.role == "assistant":
            made = "\n".join(map(_call_text, calls(message)))
            calling = f"<function_calls>{made}</function_calls>" if made else ""
            yield f"{chatml.ANSWER}{message.content}{calling}"
            yield "" if open_end and message is messages[-1] else chatml.END
        else:
            yield chatml.turn(message.role, message.content)
    if not (open_end and messages[-1].content):
        yield chatml.ANSWER


def _think(prompt: Prompt, default: str) -> Iterator[str]:
    system, messages = _split_system(prompt.messages)
    without = f"{system.content} {_NO_FUNCTIONS}<functions></functions>" if system else default
    yield chatml.turn("system", without)
    messages = [message for message in messages if message.role != "tool"]
    for message in messages:
        yield chatml.turn(message.role, message.content)
    yield f"{chatml.ANSWER}<think>"


def _split_system(messages: list[Message]) -> tuple[Message | None, list[Message]]:
    system = next((message for message in messages if message.role == "system"), None)
    return system, [message for message in messages if message.role != "system"]


def _call_text(call: RenderedCall) -> str:
    return f"{call.name}({', '.join(f'{name}={compact(value)}' for name, value in call.arguments.items())})"
