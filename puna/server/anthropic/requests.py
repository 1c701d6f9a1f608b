"""The bodies of Anthropic requests (Messages API reference). null means "left out"."""

from __future__ import annotations

from typing import Any, Literal

from puna.errors import BadRequest
from puna.server.anthropic.errors import Unthreaded
from puna.server.fields import Fields, Fraction, Temperature


class Source(Fields):
    """Where an image or a document is."""

    type: str = "base64"
    media_type: str | None = None
    data: str | None = None
    url: str | None = None
    content: str | list[Block] | None = None


class Block(Fields, kw_only=True):
    """A part of a message. Its fields depend on its type."""

    type: str
    text: str | None = None
    source: Source | str | None = None
    title: str | None = None
    context: str | None = None
    thinking: str | None = None
    id: str | None = None
    name: str | None = None
    input: Any = None
    tool_use_id: str | None = None
    tool_name: str | None = None
    url: str | None = None
    content: str | list[Block] | dict[str, Any] | None = None
    is_error: bool | None = None


class MessageParam(Fields, kw_only=True):
    """A turn of the conversation: text, or blocks (Anthropic, Messages)."""

    role: str
    content: str | list[Block]


class AnthropicTool(Fields, kw_only=True):
    """A tool with a schema, or by `type` one that Anthropic defines (Anthropic, Messages, `tools`)."""

    name: str | None = None
    type: str | None = None
    description: str | None = None
    input_schema: dict[str, Any] | None = None
    max_uses: int | None = None
    """Of a web search, as the next two."""
    allowed_domains: list[str] | None = None
    blocked_domains: list[str] | None = None


class ToolChoiceParam(Fields, kw_only=True):
    """`name` is the tool to call when `type` is "tool" (Anthropic, Messages, `tool_choice`)."""

    type: Literal["auto", "any", "tool", "none"]
    name: str | None = None
    disable_parallel_tool_use: bool | None = None


class Thinking(Fields, kw_only=True):
    """Off when this is left out. `budget_tokens` is ignored (Anthropic, Extended thinking)."""

    type: Literal["enabled", "disabled", "adaptive", "between_tools"]
    display: Literal["summarized", "omitted"] | None = None


class OutputFormat(Fields):
    """A JSON Schema that the answer's text must fit (Anthropic, Structured outputs)."""

    type: Literal["json_schema"]
    schema: dict[str, Any]


class OutputConfig(Fields):
    """`effort` is how much to think, and counts only while thinking is on (Anthropic, Messages)."""

    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: OutputFormat | None = None


class CountTokensRequest(Fields, kw_only=True):
    """The fields that make the prompt: all that /v1/messages/count_tokens takes."""

    model: str
    messages: list[MessageParam]
    system: str | list[Block] | None = None
    tools: list[AnthropicTool] | None = None
    tool_choice: ToolChoiceParam | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: OutputFormat | None = None
    """The former name of `output_config.format`."""
    container: Any = None
    mcp_servers: Any = None
    compaction: Any = None
    thread: Any = None


class MessagesRequest(CountTokensRequest, kw_only=True):
    """The body of /v1/messages; with `max_tokens` 0 the prompt is only evaluated (Anthropic, Messages)."""

    max_tokens: int
    stop_sequences: list[str] | None = None
    stream: bool | None = None
    temperature: Temperature | None = None
    top_p: Fraction | None = None
    top_k: int | None = None


REFUSED = ("container", "mcp_servers", "compaction", "thread")
"""Fields that would change the answer and are not supported."""

IGNORED = (
    "betas", "billing_policy", "cache_control", "context_management", "diagnostics", "fallback_credit_token",
    "fallbacks", "inference_geo", "metadata", "service_tier", "speed", "user_profile_id", "workspace_id",
)  # fmt: skip
"""Fields without meaning on a local server."""


def check(body: CountTokensRequest) -> None:
    """Raises BadRequest for an invalid or unsupported field."""
    for name in REFUSED:
        if getattr(body, name):
            kind = Unthreaded if name == "thread" else BadRequest
            raise kind(f"{name}: not supported")
    if not body.model:
        raise BadRequest("model: must not be empty")
    if not body.messages:
        raise BadRequest("messages: at least one message is required")
    if isinstance(body, MessagesRequest) and body.max_tokens < 0:
        raise BadRequest("max_tokens: must be 0 or more")
