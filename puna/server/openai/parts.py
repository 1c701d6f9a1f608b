"""The parts of chat fields. null means "left out"; unknown fields are ignored."""

from __future__ import annotations

from typing import Any

from puna.server.fields import Fields


class ImageUrl(Fields):
    url: str


class InputAudio(Fields):
    data: str
    format: str | None = None


class ContentPartParam(Fields):
    """A piece of a message's content, in chat completions and in responses."""

    type: str
    text: str | None = None
    refusal: str | None = None
    image_url: ImageUrl | str | None = None
    input_audio: InputAudio | None = None


class FunctionCall(Fields):
    name: str
    arguments: str | dict[str, Any] | None = None


class ToolCallParam(Fields):
    """A tool call of an earlier answer."""

    function: FunctionCall
    id: str | None = None


class ChatCompletionMessageParam(Fields):
    role: str | None = None
    content: str | list[ContentPartParam] | None = None
    refusal: str | None = None
    reasoning: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallParam] | None = None
    function_call: FunctionCall | None = None
    """The former form of `tool_calls`."""
    tool_call_id: str | None = None
    name: str | None = None


class FunctionDefinition(Fields):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None


class ChatCompletionToolParam(Fields):
    """A function; some clients leave out the nesting, as the Responses API does."""

    type: str = "function"
    function: FunctionDefinition | None = None
    name: str | None = None
    description: str | None = None
    parameters: dict[str, Any] | None = None


class StreamOptions(Fields):
    include_usage: bool | None = None


class JsonSchema(Fields):
    schema: dict[str, Any] | None = None


class ResponseFormat(Fields):
    type: str
    json_schema: JsonSchema | None = None
    schema: dict[str, Any] | None = None
    """llama.cpp's: the schema of a json_object."""


class Reasoning(Fields):
    effort: str | None = None
