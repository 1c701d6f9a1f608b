"""A conversation in OpenAI's shape to Puna's."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from puna.server.content import Url, assembled, picture, sound
from puna.server.openai.errors import Invalid
from puna.server.openai.parts import CallBody, MessageBody, PartBody
from puna.server.remote import Remote
from puna.types import Message

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


async def conversation(turns: Sequence[MessageBody], remote: Remote) -> list[Message]:
    """The messages; pictures that are named by an address are fetched. Raises BadRequest."""
    names: dict[str, str] = {}
    messages: list[Message] = []
    for index, turn in enumerate(turns):
        names |= {call.id: call.function.name for call in turn.tool_calls or () if call.id}
        messages.append(await _message(f"messages[{index}]", turn, names, remote))
    return messages


async def _message(place: str, turn: MessageBody, names: dict[str, str], remote: Remote) -> Message:
    """One turn; `names` are those of the functions that were called, by the calls' ids."""
    role = _ROLES.get(turn.role.lower())
    if role is None:
        raise Invalid(f"{place}.role", f'invalid role "{turn.role}": must be one of {", ".join(_ROLES)}')
    content = turn.content
    if content is None:
        if role != "assistant":
            raise Invalid(f"{place}.content", f"{place}.content is required", "missing_required_parameter")
        content = turn.refusal or ""
    parts = (
        [content]
        if isinstance(content, str)
        else [_part(f"{place}.content[{index}]", part) for index, part in enumerate(content)]
    )
    text, images = await assembled(parts, remote)
    call_id = turn.tool_call_id or ""
    return Message(
        role=role,
        content=text,
        thinking=turn.reasoning or turn.reasoning_content or "",
        images=images,
        tool_calls=[_call(index, call) for index, call in enumerate(turn.tool_calls or ())],
        tool_name=(turn.name or names.get(call_id, "")) if role == "tool" else "",
        tool_call_id=call_id,
    )


def _part(place: str, part: PartBody) -> str | bytes | Url:
    if part.type == "text" and part.text is not None:
        return part.text
    if part.type == "refusal" and part.refusal is not None:
        return part.refusal
    if part.type == "image_url" and part.image_url is not None:
        url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
        return picture(url, f"{place}.image_url")
    if part.type == "input_audio" and part.input_audio is not None:
        return sound(part.input_audio.data, f"{place}.input_audio.data")
    if part.type in ("text", "refusal", "image_url", "input_audio"):
        raise Invalid(
            f"{place}.{part.type}", f"{place}.{part.type} is required", "missing_required_parameter"
        )
    raise Invalid(
        f"{place}.type",
        f'invalid content part type "{part.type}": must be text, image_url, input_audio or refusal',
    )


def _call(index: int, call: CallBody) -> dict[str, Any]:
    function = {
        "index": index,
        "name": call.function.name,
        "arguments": _arguments(call.function.arguments),
    }
    return {"id": call.id, "function": function} if call.id else {"function": function}


def _arguments(given: str | dict[str, Any] | None) -> dict[str, Any] | str:
    """A call's arguments as an object; text that is none stays as the other model wrote it."""
    if not isinstance(given, str):
        return given or {}
    try:
        parsed = json.loads(given or "{}")
    except ValueError:
        return given
    return parsed if isinstance(parsed, dict) else {} if parsed is None else given
