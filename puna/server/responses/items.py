"""Responses items converted to inference's messages."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from puna.chat import called_with
from puna.inference import Call
from puna.server.content import unmarked
from puna.server.openai.messages import contents, role_of, together
from puna.server.remote import Remote
from puna.server.responses.errors import invalid
from puna.server.responses.requests import Item
from puna.types import Message

_SEALED = re.compile(r"[\w+/=-]*", re.ASCII)

HISTORY = (
    "code_interpreter_call", "file_search_call", "image_generation_call", "mcp_call", "mcp_list_tools",
    "web_search_call",
)  # fmt: skip
"""Calls of hosted tools in earlier answers; the message after them has the result."""

ADDING = ("additional_tools", "tool_search_output")
"""Items that add tools."""

SEARCH = "tool_search"
SEARCHED = ("tool_search_call", "tool_search_output")
"""Items of a tool search; without a `call_id` the search was hosted."""

CUSTOM: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The arguments of a tool that takes any text."""


class Place(NamedTuple):
    """Where a function is in the request, and as what kind of tool."""

    namespace: str
    name: str
    kind: Literal["function", "custom", "tool_search"] = "function"


async def messages(given: str | list[Item], before: Sequence[Message], remote: Remote) -> list[Message]:
    """The messages of `given`, which continue `before`. Raises BadRequest naming what cannot be read.

    Consecutive reasoning, text and calls of the model are one message.
    """
    if isinstance(given, str):
        return [Message(role="user", content=unmarked(given))]
    names = {call["id"]: call["function"]["name"] for message in before for call in message.tool_calls}
    found: list[Message] = []
    for number, item in enumerate(given):
        place = f"input[{number}]"
        kind, role = item.kind, role_of(item.role or "")
        if kind in HISTORY or (kind in SEARCHED and not item.call_id):
            continue
        if kind == "reasoning":
            if thought := _thought(item):
                _answer(found).thinking += thought
        elif kind in ("function_call", "custom_tool_call", "tool_search_call"):
            answer = _answer(found)
            answer.tool_calls.append(_called(item, len(answer.tool_calls), place))
            names[item.call_id or ""] = answer.tool_calls[-1]["function"]["name"]
        elif kind in ("function_call_output", "custom_tool_call_output", "tool_search_output"):
            found.append(await _result(item, place, names, remote))
        elif kind == "message" and role == "assistant":
            answer = _answer(found)
            text = _text(item, place)
            answer.content += f"\n{text}" if answer.content and text else text
        elif kind == "message" and role:
            content, images = await together(item.content or "", f"{place}.content", remote)
            found.append(Message(role=role, content=content, images=images))
        elif kind not in ADDING:
            raise invalid(place, f'an item of type "{kind}" is not supported', "unsupported_value")
    return found


def qualified(namespace: str | None, name: str) -> str:
    """A function's name as the model knows it."""
    return f"{namespace}__{name}" if namespace else name


def call(id: str, index: int, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A call as a message has it."""
    function = {"index": index, "name": name, "arguments": arguments}
    return {"id": id, "type": "function", "function": function}


def made(calls: Iterable[Call]) -> list[dict[str, Any]]:
    """The model's calls as a message has them."""
    return [call(each.id, each.index, each.name, each.arguments) for each in calls]


def sealed(thinking: str) -> str:
    """Reasoning as `encrypted_content`, for clients that keep the conversation. It is not encrypted."""
    return base64.b64encode(thinking.encode()).decode()


def _answer(found: list[Message]) -> Message:
    """The assistant message in progress; a new one if the last is not the assistant's."""
    if not found or found[-1].role != "assistant":
        found.append(Message(role="assistant"))
    return found[-1]


def _thought(item: Item) -> str:
    if isinstance(item.content, list) and item.content:
        return "".join(part.text or "" for part in item.content)
    if item.encrypted_content:
        if not _SEALED.fullmatch(item.encrypted_content):
            return item.encrypted_content  # As Ollama writes it.
        try:
            return base64.b64decode(item.encrypted_content, validate=True).decode()
        except ValueError:  # Another server's, which nobody else can read.
            pass
    return "\n\n".join(part.text or "" for part in item.summary or ())


def _called(item: Item, index: int, place: str) -> dict[str, Any]:
    given = SEARCH if item.type == "tool_search_call" else item.name
    if not item.call_id or not given:
        raise invalid(place, f"a {item.type} needs a call_id and a name")
    name = qualified(item.namespace, given)
    if item.type == "custom_tool_call":
        return call(item.call_id, index, name, {"input": item.input or ""})
    return call(item.call_id, index, name, called_with(item.arguments))


async def _result(item: Item, place: str, names: dict[str, str], remote: Remote) -> Message:
    if not item.call_id:
        raise invalid(place, f"a {item.type} needs a call_id")
    output = item.output if item.output is not None else ""
    if item.type == "tool_search_output":
        output = ", ".join(_names(item.tools or ())) or "no tools were found"
    if isinstance(output, dict):
        raise invalid(f"{place}.output", "must be text or a list of parts")
    content, images = await together(output, f"{place}.output", remote)
    name = names.get(item.call_id) or item.name or ""
    return Message(role="tool", content=content, images=images, tool_name=name, tool_call_id=item.call_id)


def _names(tools: Sequence[dict[str, Any]], namespace: str = "") -> Iterator[str]:
    """The names of the functions in `tools`, as the model sees them."""
    for tool in tools:
        if tool.get("type") == "namespace":
            yield from _names(tool["tools"], tool["name"])
        else:
            yield qualified(namespace, str(tool.get("name")))


def _text(item: Item, place: str) -> str:
    parts = contents(item.content or "", f"{place}.content")
    if not all(isinstance(part, str) for part in parts):
        raise invalid(f"{place}.content", "an assistant's message holds only text")
    return unmarked("".join(part for part in parts if isinstance(part, str)))


def weight(message: Message) -> int:
    """Approximate bytes of a message."""
    texts = len(message.content) + len(message.thinking) + sum(len(file.data) for file in message.images)
    return texts + (len(msgspec.json.encode(message.tool_calls)) if message.tool_calls else 0)
