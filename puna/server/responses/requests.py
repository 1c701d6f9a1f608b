"""The bodies of Responses requests (Responses API reference). null means "left out"."""

from __future__ import annotations

from typing import Any, Literal

from puna.server.fields import Fields, Fraction, Temperature
from puna.server.openai.parts import ContentPartParam
from puna.server.openai.requests import Limit
from puna.server.responses.errors import invalid

DEFAULT = 1.0
"""The default of `temperature` and `top_p` in OpenAI's API."""


REFERENCE = "item_reference"
"""The type of an item that refers to an earlier response's item by id."""


class Item(Fields, kw_only=True):
    """An input item; its fields depend on its type."""

    type: str | None = None
    id: str | None = None
    role: str | None = None
    content: str | list[ContentPartParam] | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: Any = None
    input: str | None = None
    output: str | list[ContentPartParam] | dict[str, Any] | None = None
    tools: list[dict[str, Any]] | None = None
    summary: list[ContentPartParam] | None = None
    encrypted_content: str | None = None

    @property
    def kind(self) -> str:
        """The type, which messages and references may leave out."""
        return self.type or (REFERENCE if self.id and not self.role else "message")


class ReasoningParam(Fields, kw_only=True, omit_defaults=True):
    """How much to reason. `summary` is repeated in the answer and changes nothing."""

    effort: str | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


class TextFormat(Fields, kw_only=True, omit_defaults=True):
    """The form of the answer's text. `strict` changes nothing: it is always constrained to the schema."""

    type: Literal["text", "json_object", "json_schema"]
    name: str | None = None
    description: str | None = None
    schema: dict[str, Any] | None = None
    strict: bool | None = None


class TextConfig(Fields, kw_only=True):
    """The answer's text. `verbosity` is repeated in the answer and changes nothing."""

    format: TextFormat | None = None
    verbosity: Literal["low", "medium", "high"] | None = None


class InputTokensRequest(Fields, kw_only=True):
    """The fields that make the prompt: all that /v1/responses/input_tokens takes."""

    model: str = ""
    input: str | list[Item] | None = None
    instructions: str | None = None
    previous_response_id: str | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    text: TextConfig | None = None
    reasoning: ReasoningParam | None = None
    truncation: Literal["auto", "disabled"] | None = None
    conversation: Any = None


class ResponsesRequest(InputTokensRequest, kw_only=True):
    """The body of /v1/responses; kept unless `store` is false (OpenAI, Create a model response)."""

    stream: bool | None = None
    store: bool | None = None
    max_output_tokens: Limit | None = None
    service_tier: str | None = None
    """"flex" is served after everybody else."""
    temperature: Temperature | None = None
    top_p: Fraction | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    metadata: dict[str, str] | None = None
    background: bool | None = None
    moderation: Any = None
    prompt: Any = None


REFUSED = ("background", "conversation", "moderation", "prompt")
"""Fields that would change the answer and are not supported."""

IGNORED = (
    "access_programs", "background_options", "context_management", "image", "max_tool_calls",
    "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier",
    "stream_options", "user",
)  # fmt: skip
"""Fields without meaning on a local server."""


_NAMES = {
    "bias": "logit_bias",
    "num_predict": "max_output_tokens",
    "prompt": "input",
    "schema": "text.format.schema",
    "think": "reasoning.effort",
}


def name_of(field: str) -> str:
    """The request's name for inference's `field`; "input" for all messages, which differ from the items."""
    field = field.removeprefix("options.")
    return "input" if field.startswith(("messages", "images")) else _NAMES.get(field, field)


def check(body: InputTokensRequest) -> None:
    """Raises BadRequest for an invalid or unsupported field."""
    for name in REFUSED:
        if getattr(body, name, None):
            raise invalid(name, "not supported", "unsupported_parameter")
    if not body.model:
        raise invalid("model", "must not be empty", "missing_required_parameter")
    if not body.input and not body.previous_response_id:
        raise invalid("input", "must not be empty", "missing_required_parameter")
    if isinstance(body, ResponsesRequest):
        if body.max_output_tokens is not None and body.max_output_tokens < 1:
            raise invalid("max_output_tokens", "must be 1 or more")
        if body.top_logprobs is not None and not 0 <= body.top_logprobs <= 20:
            raise invalid("top_logprobs", "must be between 0 and 20")
