"""The bodies of native requests (Ollama api/types.go). null means "left out"."""

from __future__ import annotations

from typing import Any, TypedDict

import msgspec

from puna.errors import BadRequest
from puna.inference import Think, priority, schema
from puna.server.fields import Fields, TokenId
from puna.settings import FOREVER, parse_duration


class ContentPart(Fields):
    """A piece of a message's content: text, an image, or a sound."""

    type: str
    text: str | None = None
    url: str | None = None
    image_url: str | dict[str, Any] | None = None
    image: str | None = None
    audio: str | dict[str, Any] | None = None
    audio_url: str | dict[str, Any] | None = None
    input_audio: dict[str, Any] | None = None
    data: str | None = None


class RequestFunction(Fields):
    """The function of a call, as the client got it in an earlier answer."""

    name: str | None = None
    arguments: Any = None
    """An object; some clients send it as JSON text."""
    index: int | None = None


class RequestToolCall(Fields):
    """A tool call of an earlier answer."""

    function: RequestFunction | None = None
    id: str | None = None


class RequestMessage(Fields):
    """A message of /api/chat or /api/create. `images` are base64, data: URLs or http(s) URLs."""

    role: str | None = None
    content: str | list[ContentPart] | None = None
    thinking: str | None = None
    images: list[str] | None = None
    tool_calls: list[RequestToolCall] | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None


class ModelRequest(Fields, kw_only=True):
    model: str | None = None
    name: str | None = None
    """The former name of `model`."""

    @property
    def model_name(self) -> str:
        """The requested model. Raises BadRequest if there is none."""
        if found := (self.model or self.name or "").strip():
            return found
        raise BadRequest("model is required")


class RunRequest(ModelRequest, kw_only=True):
    options: dict[str, Any] | None = None
    keep_alive: float | str | None = None


class CommonFields(TypedDict):
    """The common fields of `ChatInput` and `GenerateInput`."""

    model: str
    think: Think
    schema: dict[str, Any] | None
    options: dict[str, Any]
    keep_alive: float | None
    priority: int
    truncate: bool
    shift: bool
    logprobs: int | None


class TextRequest(RunRequest, kw_only=True):
    """The base of the bodies of /api/chat and /api/generate."""

    priority: int | str | None = None
    stream: bool | None = None
    format: Any = None
    think: bool | str | None = None
    truncate: bool | None = None
    shift: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    debug_render_only: bool | None = msgspec.field(default=None, name="_debug_render_only")

    @property
    def num_logprobs(self) -> int | None:
        """How many top log-probabilities to report for each token; None for no report. Raises BadRequest."""
        most = self.top_logprobs or 0
        if not 0 <= most <= 20:
            raise BadRequest("top_logprobs must be between 0 and 20")
        return most if self.logprobs else None

    @property
    def common_fields(self) -> CommonFields:
        """Raises BadRequest for an invalid field."""
        return {
            "model": self.model_name,
            "think": thinking(self.think),
            "schema": schema(self.format),
            "options": self.options or {},
            "keep_alive": seconds(self.keep_alive),
            "priority": priority(self.priority),
            "truncate": self.truncate is not False,
            "shift": self.shift is not False,
            "logprobs": self.num_logprobs,
        }


class ChatRequest(TextRequest, kw_only=True):
    """The body of /api/chat. `tool_choice` and `parallel_tool_calls` are OpenAI's; Ollama lacks them."""

    messages: list[RequestMessage] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None


class GenerateRequest(TextRequest, kw_only=True):
    """The body of /api/generate. `context` is an earlier answer's token ids; `raw` is without a template."""

    prompt: str | None = None
    suffix: str | None = None
    system: str | None = None
    template: str | None = None
    context: list[TokenId] | None = None
    raw: bool | None = None
    images: list[str] | None = None


class EmbedRequest(RunRequest, kw_only=True):
    """The body of /api/embed. `dimensions` shortens the vectors; 0 leaves them whole."""

    input: str | list[str] | None = None
    truncate: bool | None = None
    dimensions: int | None = None


class EmbeddingRequest(RunRequest, kw_only=True):
    """The body of /api/embeddings, which takes one text."""

    prompt: str | None = None


class TransferRequest(ModelRequest, kw_only=True):
    """The body of /api/pull and /api/push."""

    stream: bool | None = None
    insecure: bool | None = None


class ShowRequest(ModelRequest, kw_only=True):
    """The body of /api/show. `system`, `template` and `options` are shown in place of the model's own."""

    verbose: bool | None = None
    system: str | None = None
    template: str | None = None
    options: dict[str, Any] | None = None


class WebSearchRequest(msgspec.Struct, kw_only=True):
    """The body of /api/web_search. `max_results` is brought into 1 to 10."""

    query: str = ""
    max_results: int | None = None


class WebFetchRequest(msgspec.Struct, kw_only=True):
    """The body of /api/web_fetch."""

    url: str = ""


class CreateRequest(ModelRequest, kw_only=True):
    """The body of /api/create. Files are digests by file name; their blobs were sent before."""

    stream: bool | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    files: dict[str, str] | None = None
    adapters: dict[str, str] | None = None
    draft: str | None = None
    """A draft model. Ollama has only `draft_files`."""
    draft_files: dict[str, str] | None = None
    draft_quantize: str | None = None
    template: str | None = None
    license: str | list[str] | None = None
    system: str | None = None
    parameters: dict[str, Any] | None = None
    messages: list[RequestMessage] | None = None
    quantize: str | None = None
    quantization: str | None = None
    """The former name of `quantize`."""
    renderer: str | None = None
    parser: str | None = None
    requires: str | None = None
    info: dict[str, Any] | None = None


class DeleteRequest(ModelRequest, kw_only=True):
    """The body of /api/delete."""


class CopyRequest(Fields, kw_only=True):
    """The body of /api/copy; both are names of models."""

    source: str = ""
    destination: str = ""


def seconds(keep_alive: float | str | None) -> float | None:
    """`keep_alive` in seconds: a number, a duration such as "5m", negative forever, None for the default.

    Raises BadRequest with Go's wording.
    """
    if isinstance(keep_alive, str):
        try:
            return parse_duration(keep_alive)
        except ValueError as error:
            raise BadRequest(str(error)) from None
    if keep_alive is None:
        return None
    return FOREVER if keep_alive < 0 else float(keep_alive)


def thinking(think: bool | str | None) -> Think:
    """`think`, checked. Raises BadRequest for an unknown level."""
    if not isinstance(think, str) or think in ("low", "medium", "high", "max"):
        return think
    raise BadRequest(
        f'invalid think value: "{think}" (must be "high", "medium", "low", "max", true, or false)'
    )
