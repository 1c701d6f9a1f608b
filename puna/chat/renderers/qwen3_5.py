"""Qwen3.5, Qwen3.8 and Ornith: ChatML, tools as JSON, calls in XML tags.

Source: the chat templates of Qwen/Qwen3.5-4B, Qwen3.8 and Ornith. Qwen3.5 keeps thinking since the last
question, the other two keep all of it. Qwen3.8 takes one system message, which also says how much to think.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from puna.chat.prompt import Prompt
from puna.errors import BadRequest
from puna.types import Message

from . import chatml
from .qwen3_vl import last_question
from .reading import calls, ends_with_answer, split_leading, steps, thinks, with_markers
from .tool_json import spaced
from .xml_functions import HOW_TO_CALL, call_text

_TOOLS = "# Tools\n\nYou have access to the following functions:\n\n<tools>"
_MUCH = (
    "Reasoning effort is set to xhigh. Please think carefully through the task, validate key assumptions, "
    "consider plausible alternatives, and prioritize correctness, consistency, and clarity in the final "
    "answer."
)
_LITTLE = (
    "Reasoning effort is set to low. Keep your thinking brief and focused, moving directly to the conclusion "
    "without unnecessary elaboration."
)
_EFFORT = {None: _MUCH, True: "", False: "", "low": _LITTLE, "medium": "", "high": _MUCH, "max": _MUCH}


def qwen3_5(prompt: Prompt) -> Iterator[str]:
    """Thinks unless it is told not to. While it thinks, thinking since the last question is kept."""
    return _write(prompt)


def ornith(prompt: Prompt) -> Iterator[str]:
    """Like Qwen3.5, with all earlier thinking kept."""
    return _write(prompt, keep_thinking=True)


def qwen3_8(prompt: Prompt) -> Iterator[str]:
    """Raises BadRequest without a question, with a picture in a system message, or for an unknown effort."""
    instructions = [each for each in prompt.messages if each.role in ("system", "developer")]
    others = [each for each in prompt.messages if each.role not in ("system", "developer")]
    for message in instructions:
        if message.images:
            raise BadRequest(f"{message.role} message cannot contain images")
    question = last_question(others)
    if question < 0 or others[question].role != "user":
        raise BadRequest("no user query found in messages" if prompt.messages else "no messages provided")
    if prompt.think not in _EFFORT:
        raise BadRequest(f'unsupported Qwen3.8 reasoning effort "{prompt.think}"')
    texts = [each.content.strip() for each in instructions]
    system = Message(role="system", content="\n\n".join(text for text in texts if text))
    messages = [system, *others] if system.content else others
    one = msgspec.structs.replace(prompt, messages=messages)
    return _write(one, keep_thinking=True, tagged=False, effort=_EFFORT[prompt.think])


def _write(
    prompt: Prompt, *, keep_thinking: bool = False, tagged: bool = True, effort: str = ""
) -> Iterator[str]:
    """`tagged` takes thinking out of content that has its tags; `effort` begins the system message."""
    thinking = thinks(prompt, default=True)
    system, messages = split_leading(prompt.messages)
    instructions = system.content.strip() if system else ""
    if prompt.tools:
        listed = "".join(f"\n{spaced(tool)}" for tool in prompt.tools)
        declared = f"{_TOOLS}{listed}\n</tools>{HOW_TO_CALL}"
        yield chatml.turn("system", "\n\n".join(filter(None, [effort, declared, instructions])))
    elif system or effort:
        yield chatml.turn("system", "\n\n".join(filter(None, [effort, instructions])))

    question = last_question(messages)
    open_end = ends_with_answer(messages)
    for index, together in steps(messages):
        message = together[0]
        if message.role == "tool":
            yield chatml.tool_responses(with_markers(each).strip() for each in together)
        elif message.role != "assistant":
            yield chatml.turn(message.role, with_markers(message).strip())
        else:
            kept = keep_thinking or (thinking and index > question)
            yield chatml.ANSWER + _answer(message, kept=kept, tagged=tagged)
            yield "" if open_end and index == len(messages) - 1 else chatml.END
    if not open_end:
        yield chatml.ANSWER + ("<think>\n" if thinking else "<think>\n\n</think>\n\n")


def _answer(message: Message, *, kept: bool, tagged: bool) -> str:
    text = with_markers(message).strip()
    thought = message.thinking if kept else ""
    if tagged and not thought and "</think>" in text:
        before, _, after = text.partition("</think>")
        thought, text = before.rpartition("<think>")[2], after.lstrip("\n")
    begin = f"<think>\n{thought.strip()}\n</think>\n\n" if kept else ""
    space = "\n\n" if message.tool_calls and text.strip() else ""
    return begin + text + space + "\n".join(call_text(call) for call in calls(message))
