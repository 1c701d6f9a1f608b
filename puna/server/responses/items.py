"""The items of a Responses request as inference has messages, and the kept answer as one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from puna.inference import Call
from puna.server.content import assembled, unmarked
from puna.server.openai.messages import contents
from puna.server.remote import Remote
from puna.server.responses.errors import Invalid
from puna.server.responses.requests import Item
from puna.types import Message

_SEALED = re.compile(r"[\w+/=-]*", re.ASCII)

HISTORY = ("code_interpreter_call", "file_search_call", "mcp_list_tools", "web_search_call")
"""What OpenAI's own tools did in an earlier answer; the message after it says what came of it."""

CUSTOM: dict[str, Any] = {
    "type": "object",
    "properties": {"input": {"type": "string"}},
    "required": ["input"],
}
"""The arguments of a tool that takes any text."""


class Place(NamedTuple):
    """Where a function is in the request, and whether it takes any text in place of arguments."""

    namespace: str
    name: str
    custom: bool = False


async def messages(given: str | list[Item], before: Sequence[Message], remote: Remote) -> list[Message]:
    """The messages of `given`, which follow on `before`. Raises Invalid naming what cannot be read.

    What the model thought, said and called in a row is one message.
    """
    if isinstance(given, str):
        return [Message(role="user", content=unmarked(given))]
    names = {call["id"]: call["function"]["name"] for message in before for call in message.tool_calls}
    found: list[Message] = []
    for number, item in enumerate(given):
        place = f"input[{number}]"
        kind = item.type or ("message" if item.role else "item_reference")
        if kind == "reasoning":
            if thought := _thought(item):
                _answer(found).thinking += thought
        elif kind in ("function_call", "custom_tool_call"):
            answer = _answer(found)
            answer.tool_calls.append(_called(item, len(answer.tool_calls), place))
            names[item.call_id or ""] = qualified(item.namespace, item.name or "")
        elif kind in ("function_call_output", "custom_tool_call_output"):
            found.append(await _result(item, place, names, remote))
        elif kind == "message" and item.role == "assistant":
            answer = _answer(found)
            said = _text(item, place)
            answer.content += f"\n{said}" if answer.content and said else said
        elif kind == "message" and item.role:
            content, images = await assembled(contents(item.content or "", f"{place}.content"), remote)
            role = "user" if item.role == "user" else "system"
            found.append(Message(role=role, content=content, images=images))
        elif kind not in HISTORY:
            raise Invalid(place, f'an item of type "{kind}" is not supported', "unsupported_value")
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
    """Reasoning as `encrypted_content`, for clients that keep a conversation themselves. It hides nothing."""
    return base64.b64encode(thinking.encode()).decode()


def _answer(found: list[Message]) -> Message:
    """The message that the model's next thought, word or call belongs to."""
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
    if not item.call_id or not item.name:
        raise Invalid(place, f"a {item.type} needs a call_id and a name")
    name = qualified(item.namespace, item.name)
    if item.type == "custom_tool_call":
        return call(item.call_id, index, name, {"input": item.input or ""})
    try:
        arguments = json.loads(item.arguments or "{}")
    except (TypeError, ValueError):
        raise Invalid(f"{place}.arguments", "must be JSON text") from None
    if not isinstance(arguments, dict):
        raise Invalid(f"{place}.arguments", "must be a JSON object")
    return call(item.call_id, index, name, arguments)


async def _result(item: Item, place: str, names: dict[str, str], remote: Remote) -> Message:
    if not item.call_id:
        raise Invalid(place, f"a {item.type} needs a call_id")
    output = item.output if item.output is not None else ""
    if isinstance(output, dict):
        raise Invalid(f"{place}.output", "must be text or a list of parts")
    content, images = await assembled(contents(output, f"{place}.output"), remote)
    name = names.get(item.call_id) or item.name or ""
    return Message(role="tool", content=content, images=images, tool_name=name, tool_call_id=item.call_id)


def _text(item: Item, place: str) -> str:
    parts = contents(item.content or "", f"{place}.content")
    if not all(isinstance(part, str) for part in parts):
        raise Invalid(f"{place}.content", "an assistant's message holds only text")
    return unmarked("".join(part for part in parts if isinstance(part, str)))


def weight(message: Message) -> int:
    """Bytes that a message takes, nearly."""
    texts = len(message.content) + len(message.thinking) + sum(map(len, message.images))
    return texts + (len(msgspec.json.encode(message.tool_calls)) if message.tool_calls else 0)
