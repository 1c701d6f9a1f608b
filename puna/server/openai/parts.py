"""What the fields of a chat are made of. null is "left out"; unknown fields are ignored."""

from __future__ import annotations

from typing import Any

import msgspec


class ImageUrl(msgspec.Struct):
    url: str


class InputAudio(msgspec.Struct):
    data: str
    format: str | None = None


class PartBody(msgspec.Struct):
    """A piece of a message's content, in chat completions and in responses."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: InputAudio | None = None


class FunctionCall(msgspec.Struct):
    name: str
    arguments: str | dict[str, Any] | None = None


class CallBody(msgspec.Struct):
    """A call that the model made in an earlier answer."""

    function: FunctionCall
    id: str | None = None


class MessageBody(msgspec.Struct):
    role: str
    content: str | list[PartBody] | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[CallBody] | None = None
    function_call: FunctionCall | None = None
    """What `tool_calls` once was."""
    tool_call_id: str | None = None
    name: str | None = None


class Function(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ToolBody(msgspec.Struct):
    """A function; some clients write it without the layer between, as it is in responses."""

    type: str = "function"
    function: Function | None = None
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class JsonSchema(msgspec.Struct):
    schema: dict[str, Any] | None = None


class ResponseFormat(msgspec.Struct):
    type: str
    json_schema: JsonSchema | None = None
    schema: dict[str, Any] | None = None
    """Of a json_object: how llama.cpp has it."""


class Reasoning(msgspec.Struct):
    effort: str | None = None
