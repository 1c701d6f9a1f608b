"""Converts messages for Jinja chat templates: OpenAI's format, adapted to each template."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from puna.errors import PunaError
from puna.types import Message

from .declarations import Tool, declared
from .earlier import call_arguments
from .notes import LEADING, merge, notes_as_user, renders_notes_in_place
from .pictures import with_markers

_NONE_CONTENT = re.compile(r"content['\"]?\]?\s+is\s+(?:not\s+)?none")
_THINKING_PART = re.compile(r"type['\"]?\]?\s*==\s*['\"]thinking['\"]")
_STRICT_ID = re.compile("[A-Za-z0-9]{9}")
_NEEDLE = "puna-needle"
_PROPERTIES = re.compile(r"\bproperties\b")
_TOOL: Tool = {"type": "function", "function": {"name": "f"}}
_PARAMETERS = {"type": "object", "properties": {"a": {"type": "string"}}}
_INCOMPLETE: list[Tool] = [_TOOL, {"type": "function", "function": {"name": "f", "parameters": _PARAMETERS}}]


@dataclass(frozen=True)
class Shape:
    """The message format of a template."""

    system: bool = True
    """The template renders system messages."""
    in_place: bool = True
    """The template renders system messages after an answer in their place."""
    text: bool = True
    """Content is text, not a list of parts."""
    none: bool = False
    """Content is none beside calls."""
    thinking_parts: bool = False
    """Thinking is a part of the content."""
    no_tools: list[Any] | None = None
    """The value for "no tools"."""
    one_call: bool = False
    """A message has at most one call."""
    complete_tools: bool = False
    """Every tool has parameters and descriptions."""
    plain_tools: bool = False
    """The template writes each parameter itself."""
    answer_text: Callable[[Message], str] | None = None
    """Writes calls into the content, because the template omits them."""

    def messages(self, given: Iterable[Message]) -> list[dict[str, Any]]:
        messages = list(given) if self.in_place else notes_as_user(given)
        messages = messages if self.system else without_system(messages)
        return [self._turn(message) for message in (one_call_each(messages) if self.one_call else messages)]

    def tools(self, given: list[Tool] | None) -> list[Tool] | None:
        if not given:
            return self.no_tools
        if not (self.plain_tools or self.complete_tools):
            return given
        return [declared(tool, plain=self.plain_tools, complete=self.complete_tools) for tool in given]

    def _turn(self, message: Message) -> dict[str, Any]:
        turn: dict[str, Any] = {"role": message.role, "content": self._content(message)}
        if message.thinking:
            turn["reasoning_content"] = turn["reasoning"] = turn["thinking"] = message.thinking
        if message.tool_calls:
            turn["tool_calls"] = [_call(call) for call in message.tool_calls]
        if message.tool_name:
            turn["name"] = message.tool_name
        if message.tool_call_id:
            turn["tool_call_id"] = message.tool_call_id
        return turn

    def _content(self, message: Message) -> Any:
        as_text = self.answer_text if message.tool_calls else None
        text = (as_text or with_markers)(message)
        if message.tool_calls and not text and self.none:
            return None
        parts: list[dict[str, str]] = [{"type": "text", "text": text}] if text else []
        if message.thinking and self.thinking_parts:
            return [{"type": "thinking", "thinking": message.thinking}, *parts]
        return text if self.text else parts


def shape_of(
    source: str,
    render: Callable[[list[dict[str, Any]], list[Any] | None], str],
    answer_text: Callable[[Message], str] | None = None,
) -> Shape:
    """Finds a template's message format by rendering test messages and searching for their text.

    `answer_text` is the family's.
    """

    def omits_calls(shape: Shape) -> bool:
        call = Message(role="assistant", content="Hi", tool_calls=[{"function": {"name": _NEEDLE}}])
        try:
            return _NEEDLE not in render(
                shape.messages([Message(role="user", content="Hi"), call]), shape.tools([_TOOL])
            )
        except PunaError:
            return False

    def takes(shape: Shape) -> bool:
        try:
            return bool(render(shape.messages([question]), shape.tools(_INCOMPLETE)))
        except PunaError:
            return False

    def shows(shape: Shape, *messages: Message) -> bool:
        try:
            return _NEEDLE in render(shape.messages(messages), shape.no_tools)
        except PunaError:
            return False

    question = Message(role="user", content=_NEEDLE)
    plain = Shape(
        none=bool(_NONE_CONTENT.search(source)),
        thinking_parts=bool(_THINKING_PART.search(source)),
        plain_tools=bool(_PROPERTIES.search(source)),
    )
    likely = (plain, replace(plain, text=False), replace(plain, no_tools=[]))
    shape = next((shape for shape in likely if shows(shape, question)), None)
    if shape is None:
        return plain
    system = shows(shape, Message(role="system", content=_NEEDLE), Message(role="user", content="Hi"))
    fits = replace(shape, system=system)
    in_place = system and renders_notes_in_place(lambda turns: render(fits.messages(turns), fits.no_tools))
    shape = replace(fits, in_place=in_place)
    if shape.none:
        call = Message(role="assistant", tool_calls=[{"id": "needle001", "function": {"name": _NEEDLE}}])
        answer = Message(role="tool", content="", tool_name=_NEEDLE, tool_call_id="needle001")
        shape = replace(shape, none=shows(shape, question, call, answer))
    if not takes(shape):
        complete = replace(shape, complete_tools=True)
        shape = complete if takes(complete) else shape
    if answer_text and omits_calls(shape):
        return replace(shape, answer_text=answer_text)
    made = [{"id": f"needle00{at}", "function": {"name": name}} for at, name in enumerate(("f", _NEEDLE))]
    results = [Message(role="tool", content="", tool_call_id=call["id"]) for call in made]
    calling = (Message(role="user", content="Hi"), Message(role="assistant", tool_calls=made), *results)
    split = replace(shape, one_call=True)
    return split if shows(split, *calling) and not shows(shape, *calling) else shape


def one_call_each(messages: Iterable[Message]) -> Iterator[Message]:
    """Splits answers with several calls, so that each call precedes its result.

    A result without an id belongs to the next call.
    """
    calls: list[Message] = []
    for message in messages:
        if message.role == "tool" and calls:
            ids = [one.tool_calls[0].get("id") or "" for one in calls]
            yield calls.pop(ids.index(message.tool_call_id) if message.tool_call_id in ids else 0)
            yield message
            continue
        yield from calls
        calls = [msgspec.structs.replace(message, tool_calls=[call]) for call in message.tool_calls]
        calls[1:] = [msgspec.structs.replace(one, content="", thinking="") for one in calls[1:]]
        if not calls:
            yield message
    yield from calls


def without_system(messages: list[Message]) -> list[Message]:
    """Moves system messages into the first user message, for templates without the role."""
    texts = [message.content for message in messages if message.role == "system"]
    others = [message for message in messages if message.role != "system"]
    if not texts:
        return others
    first = next((index for index, message in enumerate(others) if message.role == "user"), None)
    if first is None:
        return [Message(role="user", content="\n\n".join(texts)), *others]
    content = "\n\n".join([*texts, others[first].content])
    question = msgspec.structs.replace(others[first], content=content)
    return [*others[:first], question, *others[first + 1 :]]


def strictest_form(messages: list[Message]) -> list[Message]:
    """The conversation in the format of the strictest templates.

    Joins system and developer messages in front, merges consecutive messages of one role, and moves text
    beside calls into thinking. Calls get ids of nine letters or digits, which Mistral's templates require.
    """
    systems = [message.content for message in messages if message.role in LEADING]
    turns = [Message(role="system", content="\n\n".join(systems))] if systems else []
    for message in _with_ids(messages):
        if message.role in LEADING:
            continue
        if message.tool_calls and message.content and message.thinking:
            thinking = f"{message.thinking}\n\n{message.content}"
            message = msgspec.structs.replace(message, content="", thinking=thinking)
        if turns and _one_turn(turns[-1], message):
            turns[-1] = merge(turns[-1], message)
        else:
            turns.append(message)
    return turns


def _with_ids(messages: Iterable[Message]) -> Iterator[Message]:
    """The messages with ids of nine letters or digits. A result without an id belongs to the next call."""
    count, open_calls = 0, list[tuple[str, str]]()
    for message in messages:
        if message.tool_calls:
            open_calls = []
            for call in message.tool_calls:
                count, old = count + 1, str(call.get("id") or "")
                open_calls.append((old, old if _STRICT_ID.fullmatch(old) else f"{count:09d}"))
            calls = [
                {**call, "id": new} for call, (_, new) in zip(message.tool_calls, open_calls, strict=True)
            ]
            message = msgspec.structs.replace(message, tool_calls=calls)
        elif message.role == "tool" and open_calls:
            found = [at for at, (old, _) in enumerate(open_calls) if old == message.tool_call_id]
            _, new = open_calls.pop(found[0] if found else 0)
            message = msgspec.structs.replace(message, tool_call_id=new)
        yield message


def _one_turn(first: Message, second: Message) -> bool:
    if first.tool_calls or second.tool_calls:
        return False
    return first.role == second.role and first.role in ("user", "assistant")


class _Printed:
    """A value that templates print, or add to text, as JSON."""

    def __str__(self) -> str:
        return json.dumps(self, ensure_ascii=False)

    def __add__(self, other: str) -> str:
        return f"{self}{other}"

    def __radd__(self, other: str) -> str:
        return f"{other}{self}"


class PrintedList(_Printed, list[Any]):
    """A list for templates that iterate over it, and for those that print it."""


class _Arguments(_Printed, dict[str, Any]):
    """A call's arguments, for both kinds of templates."""


def _call(given: dict[str, Any]) -> dict[str, Any]:
    function = given.get("function") or {}
    arguments = _Arguments(call_arguments(function.get("arguments")))
    call = {"type": "function", "function": {"name": function.get("name") or "", "arguments": arguments}}
    return {"id": given["id"], **call} if given.get("id") else call
