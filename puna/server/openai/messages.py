"""OpenAI's messages converted to inference's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from puna.chat import call_arguments
from puna.errors import BadRequest
from puna.server.content import Url, assemble, picture, sound
from puna.server.openai.parts import ChatCompletionMessageParam, ContentPartParam, ToolCallParam
from puna.server.remote import Remote
from puna.types import MediaFile, Message

_ROLES = {"developer": "system", "function": "tool"}
"""The templates' names of OpenAI's roles. Other roles pass unchanged, as in Ollama."""

_TEXTS = ("text", "input_text", "output_text")
_PICTURES = ("image_url", "input_image")


async def conversation(turns: Sequence[ChatCompletionMessageParam], remote: Remote) -> list[Message]:
    """The messages; images at URLs are fetched. Raises BadRequest."""
    names: dict[str, str] = {}
    messages: list[Message] = []
    for index, turn in enumerate(turns):
        names |= {call.id: call.function.name for call in turn.tool_calls or () if call.id}
        messages.append(await _message(f"messages[{index}]", turn, names, remote))
    return messages


async def _message(
    field: str, turn: ChatCompletionMessageParam, names: dict[str, str], remote: Remote
) -> Message:
    """One turn. `names`: of the functions in earlier calls, by call id."""
    role = role_of(turn.role)
    content = turn.content
    if content is None:
        if role != "assistant":
            raise BadRequest(f"{field}.content is required", f"{field}.content", "missing_required_parameter")
        content = turn.refusal or ""
    text, images = await together(content, f"{field}.content", remote)
    call_id = turn.tool_call_id or ""
    calls = turn.tool_calls or ([ToolCallParam(turn.function_call)] if turn.function_call else [])
    return Message(
        role=role,
        content=text,
        thinking=turn.reasoning or turn.reasoning_content or "",
        images=images,
        tool_calls=[_call(index, call) for index, call in enumerate(calls)],
        tool_name=(turn.name or names.get(call_id, "")) if role == "tool" else "",
        tool_call_id=call_id,
    )


def role_of(given: str) -> str:
    """The templates' name of a role."""
    role = given.lower()
    return _ROLES.get(role, role)


async def together(
    content: str | Sequence[ContentPartParam], field: str, remote: Remote
) -> tuple[str, list[MediaFile]]:
    """The text and files of the content. Raises BadRequest for `field`."""
    return await assemble(contents(content, field), remote)


def contents(content: str | Sequence[ContentPartParam], field: str) -> list[str | MediaFile | Url]:
    """The parts of the content, URLs not yet fetched. Raises BadRequest for the part."""
    if isinstance(content, str):
        return [content]
    return [_part(part, f"{field}[{index}]") for index, part in enumerate(content)]


def _part(part: ContentPartParam, field: str) -> str | MediaFile | Url:
    if part.type in _TEXTS and part.text is not None:
        return part.text
    if part.type == "refusal" and part.refusal is not None:
        return part.refusal
    if part.type in _PICTURES and part.image_url is not None:
        url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
        return picture(url, f"{field}.image_url")
    if part.type == "input_audio" and part.input_audio is not None:
        return sound(part.input_audio.data, f"{field}.input_audio.data")
    missing = "text" if part.type in _TEXTS else "image_url" if part.type in _PICTURES else part.type
    if missing in ("text", "image_url", "input_audio", "refusal"):
        raise BadRequest(f"{field}.{missing} is required", f"{field}.{missing}", "missing_required_parameter")
    message = f'a content part of type "{part.type}" is not supported: only text, images and audio are'
    raise BadRequest(message, f"{field}.type", "unsupported_value")


def _call(index: int, call: ToolCallParam) -> dict[str, Any]:
    function = {
        "index": index,
        "name": call.function.name,
        "arguments": call_arguments(call.function.arguments),
    }
    return {"id": call.id, "function": function} if call.id else {"function": function}
