"""A prompt's messages, tools and calls in the form that renderers need."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

from puna.chat import pictures
from puna.chat.earlier import call_arguments
from puna.chat.prompt import Prompt
from puna.chat.schema import inlined
from puna.types import Message


class RenderedFunction(NamedTuple):
    """A tool's name, description and parameters (a JSON Schema without references)."""

    name: str
    description: str
    parameters: dict[str, Any]

    @property
    def properties(self) -> dict[str, dict[str, Any]]:
        return {name: as_object(each) for name, each in as_object(self.parameters.get("properties")).items()}


class RenderedCall(NamedTuple):
    """A call the model made."""

    name: str
    arguments: dict[str, Any]
    id: str


def functions(prompt: Prompt) -> list[RenderedFunction]:
    """The tools' functions. What is missing or of a wrong type is empty."""
    return [_function(as_object(tool.get("function"))) for tool in prompt.tools or ()]


def _function(given: dict[str, Any]) -> RenderedFunction:
    description = given.get("description") or ""
    return RenderedFunction(given.get("name") or "", description, inlined(as_object(given.get("parameters"))))


def calls(message: Message) -> list[RenderedCall]:
    """The message's calls. Arguments that came as JSON text are decoded."""
    return [_call(given) for given in message.tool_calls]


def _call(given: dict[str, Any]) -> RenderedCall:
    function = as_object(given.get("function"))
    call_id = given.get("id")
    name, made = function.get("name") or "", call_arguments(function.get("arguments"))
    return RenderedCall(name, made, call_id if isinstance(call_id, str) else "")


def kinds(schema: dict[str, Any]) -> list[str]:
    """The names of the types a JSON Schema allows."""
    given = schema.get("type")
    return [given] if isinstance(given, str) else texts(given)


def texts(value: Any) -> list[str]:
    """The strings in a list; empty for other values."""
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []


def as_object(value: Any) -> dict[str, Any]:
    """`value` if it is a JSON object, else an empty one: clients send anything."""
    return value if isinstance(value, dict) else {}


def with_markers(message: Message, text: str | None = None) -> str:
    """The message's text, or the given one, with its images, and a space after those in front."""
    return pictures.with_markers(message, text, gap=" ")


def thinks(prompt: Prompt, *, default: bool) -> bool:
    """Whether the answer is to begin with thinking."""
    return default if prompt.think is None else bool(prompt.think)


def split_leading(messages: list[Message], *roles: str) -> tuple[Message | None, list[Message]]:
    """The first message, if it has one of these roles, and the others."""
    if messages and messages[0].role in (roles or ("system",)):
        return messages[0], messages[1:]
    return None, messages


def ends_with_answer(messages: list[Message]) -> bool:
    """Whether the last message is an answer, for families whose models continue it."""
    return bool(messages) and messages[-1].role == "assistant"


def last_index(messages: list[Message], role: str) -> int:
    """The index of the last message of `role`; -1 if there is none."""
    return max((index for index, message in enumerate(messages) if message.role == role), default=-1)


def steps(messages: Iterable[Message]) -> Iterator[tuple[int, list[Message]]]:
    """The messages with their indices; consecutive tools' answers are one step."""
    numbered = enumerate(messages)
    for role, run in groupby(numbered, key=lambda each: each[1].role):
        together = list(run)
        if role == "tool":
            yield together[0][0], [message for _, message in together]
        else:
            yield from ((index, [message]) for index, message in together)
