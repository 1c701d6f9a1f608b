"""OpenAI's messages converted to inference's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from puna.chat import called_with
from puna.errors import BadRequest
from puna.server.content import Url, assembled, picture, sound
from puna.server.openai.parts import ChatCompletionMessageParam, ContentPartParam, ToolCallParam
from puna.server.remote import Remote
from puna.types import MediaFile, Message

_ROLES = {"developer": "system", "function": "tool"}
"""OpenAI's roles as templates know them. Other roles are passed on, as in Ollama."""

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
    place: str, turn: ChatCompletionMessageParam, names: dict[str, str], remote: Remote
) -> Message:
    """One turn; `names` are those of the functions that were called, by the calls' ids."""
    role = role_of(turn.role or "")
    content = turn.content
    if content is None:
        if role != "assistant":
            raise BadRequest(f"{place}.content is required", f"{place}.content", "missing_required_parameter")
        content = turn.refusal or ""
    text, images = await together(content, f"{place}.content", remote)
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


def role_of(said: str) -> str:
    """The role as templates have it."""
    role = said.lower()
    return _ROLES.get(role, role)


async def together(
    content: str | Sequence[ContentPartParam], place: str, remote: Remote
) -> tuple[str, list[MediaFile]]:
    """The text and files of the content at `place` in the request. Raises BadRequest, which names it."""
    return await assembled(contents(content, place), remote)


def contents(content: str | Sequence[ContentPartParam], place: str) -> list[str | MediaFile | Url]:
    """A content's parts; those at URLs are not fetched yet. Raises BadRequest, which names the part."""
    if isinstance(content, str):
        return [content]
    return [_part(part, f"{place}[{index}]") for index, part in enumerate(content)]


def _part(part: ContentPartParam, place: str) -> str | MediaFile | Url:
    if part.type in _TEXTS and part.text is not None:
        return part.text
    if part.type == "refusal" and part.refusal is not None:
        return part.refusal
    if part.type in _PICTURES and part.image_url is not None:
        url = part.image_url if isinstance(part.image_url, str) else part.image_url.url
        return picture(url, f"{place}.image_url")
    if part.type == "input_audio" and part.input_audio is not None:
        return sound(part.input_audio.data, f"{place}.input_audio.data")
    field = "text" if part.type in _TEXTS else "image_url" if part.type in _PICTURES else part.type
    if field in ("text", "image_url", "input_audio", "refusal"):
        raise BadRequest(f"{place}.{field} is required", f"{place}.{field}", "missing_required_parameter")
    message = f'a content part of type "{part.type}" is not supported: only text, images and audio are'
    raise BadRequest(message, f"{place}.type", "unsupported_value")


def _call(index: int, call: ToolCallParam) -> dict[str, Any]:
    function = {
        "index": index,
        "name": call.function.name,
        "arguments": called_with(call.function.arguments),
    }
    return {"id": call.id, "function": function} if call.id else {"function": function}
