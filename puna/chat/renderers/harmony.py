"""gpt-oss: OpenAI's harmony format, with channels, functions as TypeScript, and a reasoning level.

Source: the chat template of openai/gpt-oss-120b; where it allows less than a conversation may have (several
calls in a message, text beside calls), OpenAI's description of the format. Thinking that led to calls is kept
until the answer that follows them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from puna.chat.prompt import Prompt, is_continued
from puna.types import Message

from .reading import calls, functions, last_index, split_leading
from .tool_json import spaced
from .typescript import namespace

_IDENTITY = "You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06"
_CHANNELS = "# Valid channels: analysis, commentary, final. Channel must be included for every message."
_CALLS = "\nCalls to these tools must go to the commentary channel: 'functions'."


def harmony(prompt: Prompt) -> Iterator[str]:
    """The prompt in pieces, with today's date. Reasons always, at "medium" unless told otherwise."""
    developer, messages = split_leading(prompt.messages, "system", "developer")
    tools = functions(prompt)
    dated = f"{_IDENTITY}\nCurrent date: {date.today().isoformat()}"
    yield _message(
        "system", f"{dated}\n\nReasoning: {_effort(prompt)}\n\n{_CHANNELS}{_CALLS if tools else ''}"
    )
    instructions = f"# Instructions\n\n{developer.content}\n\n" if developer and developer.content else ""
    declared = f"# Tools\n\n## functions\n\n{namespace('functions', tools)}" if tools else ""
    if instructions or declared:
        yield _message("developer", instructions + declared)

    open_end = is_continued(messages)
    concluded = _last_conclusion(messages)
    pending: dict[str, str] = {}
    for index, message in enumerate(messages):
        if message.role == "tool":
            name = message.tool_name or pending.get(message.tool_call_id) or pending.get("", "")
            yield _message(f"functions.{name} to=assistant<|channel|>commentary", message.content)
        elif message.role != "assistant":
            yield _message(message.role, message.content)
        elif open_end and index == len(messages) - 1:
            yield _begun(message)
        elif message.tool_calls:
            if message.thinking and index > concluded:
                yield _message("assistant<|channel|>analysis", message.thinking)
            if message.content:
                yield _message("assistant<|channel|>commentary", message.content)
            for call in calls(message):
                pending |= {call.id: call.name, "": call.name}
                header = f"assistant to=functions.{call.name}<|channel|>commentary json"
                yield f"<|start|>{header}<|message|>{spaced(call.arguments)}<|call|>"
        else:
            yield _message("assistant<|channel|>final", message.content)
    if not open_end:
        yield "<|start|>assistant"


def _message(header: str, text: str) -> str:
    return f"<|start|>{header}<|message|>{text}<|end|>"


def _effort(prompt: Prompt) -> str:
    """The level of reasoning; these models always reason, at most "high"."""
    if isinstance(prompt.think, str):
        return "high" if prompt.think == "max" else prompt.think
    return "medium"


def _last_conclusion(messages: list[Message]) -> int:
    """The index of the last answer without calls."""
    concluding = [message if not message.tool_calls else Message(role="caller") for message in messages]
    return last_index(concluding, "assistant")


def _begun(message: Message) -> str:
    thought = message.thinking
    if thought and not message.content:
        return f"<|start|>assistant<|channel|>analysis<|message|>{thought}"
    before = _message("assistant<|channel|>analysis", thought) if thought else ""
    return f"{before}<|start|>assistant<|channel|>final<|message|>{message.content}"
