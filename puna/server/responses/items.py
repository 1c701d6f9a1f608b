"""Responses items converted to inference's messages."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from puna.chat import call_arguments
from puna.inference import Call
from puna.server.content import escape_markers
from puna.server.openai.messages import contents, role_of, together
from puna.server.remote import Remote
from puna.server.responses.errors import invalid
from puna.server.responses.requests import Item
from puna.types import Message

_BASE64 = re.compile(r"[\w+/=-]*", re.ASCII)

HOSTED_CALLS = (
    "code_interpreter_call", "file_search_call", "image_generation_call", "mcp_call", "mcp_list_tools",
    "web_search_call",
)  # fmt: skip
"""Calls of hosted tools in earlier answers. They are skipped, because the next message has the result."""

TOOL_ITEMS = ("additional_tools", "tool_search_output")
"""Items that add tools."""

SEARCH = "tool_search"
SEARCH_ITEMS = ("tool_search_call", "tool_search_output")
"""Items of a tool search; without a `call_id` the search was hosted."""

CUSTOM_PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The parameters of a tool that takes free text."""


class ToolOrigin(NamedTuple):
    """The namespace, name and tool type of a function in the request."""

    namespace: str
    name: str
    kind: Literal["function", "custom", "tool_search"] = "function"


async def messages(given: str | list[Item], before: Sequence[Message], remote: Remote) -> list[Message]:
    """The messages of `given`, which continue `before`. Raises BadRequest for the unsupported field.

    Joins consecutive reasoning, text and calls of the model into one message.
    """
    if isinstance(given, str):
        return [Message(role="user", content=escape_markers(given))]
    names = {call["id"]: call["function"]["name"] for message in before for call in message.tool_calls}
    found: list[Message] = []
    for number, item in enumerate(given):
        field = f"input[{number}]"
        kind, role = item.kind, role_of(item.role or "")
        if kind in HOSTED_CALLS or (kind in SEARCH_ITEMS and not item.call_id):
            continue
        if kind == "reasoning":
            if thought := _reasoning(item):
                _answer(found).thinking += thought
        elif kind in ("function_call", "custom_tool_call", "tool_search_call"):
            answer = _answer(found)
            answer.tool_calls.append(_call(item, len(answer.tool_calls), field))
            names[item.call_id or ""] = answer.tool_calls[-1]["function"]["name"]
        elif kind in ("function_call_output", "custom_tool_call_output", "tool_search_output"):
            found.append(await _result(item, field, names, remote))
        elif kind == "message" and role == "assistant":
            answer = _answer(found)
            text = _text(item, field)
            answer.content += f"\n{text}" if answer.content and text else text
        elif kind == "message":
            if not role or item.content is None:
                missing = f"{field}.{'content' if role else 'role'}"
                raise invalid(missing, "is required", "missing_required_parameter")
            content, images = await together(item.content, f"{field}.content", remote)
            found.append(Message(role=role, content=content, images=images))
        elif kind not in TOOL_ITEMS:
            raise invalid(field, f'an item of type "{kind}" is not supported', "unsupported_value")
    return found


def qualified_name(namespace: str | None, name: str) -> str:
    """The model's name for a function."""
    return f"{namespace}__{name}" if namespace else name


def message_call(id: str, index: int, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """A call in the format of `Message.tool_calls`."""
    function = {"index": index, "name": name, "arguments": arguments}
    return {"id": id, "type": "function", "function": function}


def message_calls(calls: Iterable[Call]) -> list[dict[str, Any]]:
    """The model's calls in the format of `Message.tool_calls`."""
    return [message_call(each.id, each.index, each.name, each.arguments) for each in calls]


def encode_reasoning(thinking: str) -> str:
    """Reasoning as `encrypted_content`, for clients that store conversations. It is base64, not encrypted."""
    return base64.b64encode(thinking.encode()).decode()


def _answer(found: list[Message]) -> Message:
    """The assistant message in progress; a new one if the last is not the assistant's."""
    if not found or found[-1].role != "assistant":
        found.append(Message(role="assistant"))
    return found[-1]


def _reasoning(item: Item) -> str:
    if isinstance(item.content, list) and item.content:
        return "".join(part.text or "" for part in item.content)
    if item.encrypted_content:
        if not _BASE64.fullmatch(item.encrypted_content):
            return item.encrypted_content  # Ollama sends plain text.
        try:
            return base64.b64decode(item.encrypted_content, validate=True).decode()
        except ValueError:  # Encrypted by another server.
            pass
    return "\n\n".join(part.text or "" for part in item.summary or ())


def _call(item: Item, index: int, field: str) -> dict[str, Any]:
    given = SEARCH if item.type == "tool_search_call" else item.name
    if not item.call_id or not given:
        raise invalid(field, f"a {item.type} needs a call_id and a name")
    name = qualified_name(item.namespace, given)
    if item.type == "custom_tool_call":
        return message_call(item.call_id, index, name, {"input": item.input or ""})
    return message_call(item.call_id, index, name, call_arguments(item.arguments))


async def _result(item: Item, field: str, names: dict[str, str], remote: Remote) -> Message:
    if not item.call_id:
        raise invalid(field, f"a {item.type} needs a call_id")
    output = item.output if item.output is not None else ""
    if item.type == "tool_search_output":
        output = ", ".join(_names(item.tools or ())) or "no tools were found"
    if isinstance(output, dict):
        raise invalid(f"{field}.output", "must be text or a list of parts")
    content, images = await together(output, f"{field}.output", remote)
    name = names.get(item.call_id) or item.name or ""
    return Message(role="tool", content=content, images=images, tool_name=name, tool_call_id=item.call_id)


def _names(tools: Sequence[dict[str, Any]], namespace: str = "") -> Iterator[str]:
    """The names of the functions in `tools`, as the model sees them."""
    for tool in tools:
        if tool.get("type") == "namespace":
            yield from _names(tool["tools"], tool["name"])
        else:
            yield qualified_name(namespace, str(tool.get("name")))


def _text(item: Item, field: str) -> str:
    parts = contents(item.content or "", f"{field}.content")
    if not all(isinstance(part, str) for part in parts):
        raise invalid(f"{field}.content", "an assistant's message holds only text")
    return escape_markers("".join(part for part in parts if isinstance(part, str)))


def approximate_size(message: Message) -> int:
    """Approximate bytes of a message."""
    texts = len(message.content) + len(message.thinking) + sum(len(file.data) for file in message.images)
    return texts + (len(msgspec.json.encode(message.tool_calls)) if message.tool_calls else 0)
