"""The parts of chat fields. null means "left out"; unknown fields are ignored."""

from __future__ import annotations

from typing import Any

from puna.server.fields import Fields


class ImageUrl(Fields):
    """A data: URL, an http(s) URL, or bare base64. `detail` is ignored."""

    url: str


class InputAudio(Fields):
    """`data` is base64. The file itself tells its format, whatever `format` says."""

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
    """`arguments` is JSON text; some clients send the object itself."""

    name: str
    arguments: str | dict[str, Any] | None = None


class ToolCallParam(Fields):
    """A tool call of an earlier answer."""

    function: FunctionCall
    id: str | None = None


class ChatCompletionMessageParam(Fields):
    """A message; `reasoning` has two names, and both are read (OpenAI, Create chat completion)."""

    role: str
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
    """`parameters` is a JSON Schema. `strict` is ignored: calls are always constrained to it."""

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
    """`include_usage` adds a last chunk, with the tokens used and without choices."""

    include_usage: bool | None = None


class JsonSchema(Fields):
    """`name`, `description` and `strict` are ignored: answers are always constrained to the schema."""

    schema: dict[str, Any] | None = None


class ResponseFormat(Fields):
    """Of type "text", "json_object" or "json_schema" (OpenAI, Structured outputs)."""

    type: str
    json_schema: JsonSchema | None = None
    schema: dict[str, Any] | None = None
    """llama.cpp's: the schema of a json_object."""


class Reasoning(Fields):
    """`reasoning_effort` as the Responses API writes it; this one counts if both are given."""

    effort: str | None = None
