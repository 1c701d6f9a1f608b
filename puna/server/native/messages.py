"""Native messages and tools converted to inference's. Invalid fields raise BadRequest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from puna.chat import call_arguments
from puna.errors import BadRequest, InvalidField
from puna.inference import ToolMode
from puna.server.content import Url, assemble, picture, sound
from puna.server.fields import normalize_names
from puna.server.native.requests import ContentPart, RequestMessage, RequestToolCall
from puna.server.remote import Remote
from puna.types import MediaFile, Message


async def turns(bodies: Sequence[RequestMessage], remote: Remote) -> list[Message]:
    """The messages, with media markers for images and audio."""
    return [await turn(body, f"messages[{at}]", remote) for at, body in enumerate(bodies)]


async def turn(body: RequestMessage, field: str, remote: Remote) -> Message:
    """The turn at `field` of a body."""
    given = body.content or ""
    parts = (
        [given]
        if isinstance(given, str)
        else [_part(part, f"{field}.content[{at}]") for at, part in enumerate(given)]
    )
    content, placed = await assemble(parts, remote)
    images = await pictures(body.images, f"{field}.images", remote)
    return Message(
        # Any role: templates decide which they know.
        role=(body.role or "").lower(),
        content=content,
        thinking=body.thinking or "",
        # Images without a marker in the text come first.
        images=[*images, *placed],
        tool_calls=[
            _call(call, f"{field}.tool_calls[{at}]") for at, call in enumerate(body.tool_calls or ())
        ],
        tool_name=body.tool_name or "",
        tool_call_id=body.tool_call_id or "",
    )


async def pictures(given: Sequence[str] | None, field: str, remote: Remote) -> list[MediaFile]:
    """Images and audio, given as base64 or by URL."""
    _, files = await assemble(
        [picture(text, f"{field}[{at}]") for at, text in enumerate(given or ())], remote
    )
    return files


def _part(part: ContentPart, field: str) -> str | MediaFile | Url:
    if part.type == "text":
        return part.text or ""
    if part.type in ("audio", "input_audio", "audio_url"):
        return _sound(part, field)
    if part.type not in ("image", "image_url"):
        raise BadRequest(f'invalid content part type "{part.type}" in {field}: must be text, image or audio')
    source = part.url or part.image_url or part.image or part.data
    if isinstance(source, dict):
        source = source.get("url")
    if not isinstance(source, str):
        raise InvalidField(field, 'an image needs a "url"')
    return picture(source, f"{field}.url")


def _sound(part: ContentPart, field: str) -> MediaFile | Url:
    source = part.data or part.url or part.input_audio or part.audio or part.audio_url
    if isinstance(source, dict):
        source = source.get("data") or source.get("url")
    if not isinstance(source, str):
        raise InvalidField(field, 'a sound needs "data" or a "url"')
    return sound(source, f"{field}.{'url' if part.url or part.audio_url else 'data'}")


def _call(call: RequestToolCall, field: str) -> dict[str, Any]:
    """A call of an earlier answer."""
    function = call.function
    if function is None or not isinstance(function.name, str):
        raise InvalidField(field, 'a call needs a "function" with a "name"')
    index = {} if function.index is None else {"index": function.index}
    made = {"function": {**index, "name": function.name, "arguments": call_arguments(function.arguments)}}
    return {"id": call.id, **made} if call.id else made


def tools(given: Sequence[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """The tools, checked: each has a name, and parameters that are an object."""
    offered = [_tool(tool) for tool in given or ()]
    for at, tool in enumerate(offered):
        function = tool.get("function")
        if not isinstance(function, dict):
            raise InvalidField(f"tools[{at}].function", "expected object")
        if not isinstance(function.get("name"), str) or not function["name"]:
            raise InvalidField(f"tools[{at}].function.name", "expected string")
        if not isinstance(function.get("parameters") or {}, dict):
            raise InvalidField(f"tools[{at}].function.parameters", "expected object")
    return offered


def _tool(given: dict[str, Any]) -> dict[str, Any]:
    tool = normalize_names(given, "type", "function")
    function = tool.get("function")
    if isinstance(function, dict):
        tool["function"] = normalize_names(function, "name", "description", "parameters")
    return tool


def choice(wanted: Any, offered: list[dict[str, Any]]) -> tuple[ToolMode, str]:
    """The mode of `tool_choice`, and the name of the one tool to call, if there is one."""
    if wanted is None:
        return "auto", ""
    if isinstance(wanted, dict):
        function = wanted.get("function")
        wanted = function.get("name") if isinstance(function, dict) else wanted.get("name")
    if wanted in ("auto", "none"):
        return wanted, ""
    if wanted == "required" or wanted == "any":
        if not offered:
            raise InvalidField("tool_choice", "there are no tools to require")
        return "required", ""
    if wanted in [tool["function"]["name"] for tool in offered]:
        return "required", wanted
    raise InvalidField("tool_choice", 'must be "none", "auto", "required" or a tool\'s name')
