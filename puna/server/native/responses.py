"""The bodies of native responses (Ollama api/types.go), in Ollama's order of fields."""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from puna.chat import MEDIA_MARKER
from puna.inference import Call, Rendered, Summary
from puna.types import TokenLogprob


class ToolCallFunction(msgspec.Struct, kw_only=True):
    """`arguments` is an object, not JSON text as in OpenAI's API. `index` counts an answer's calls from 0."""

    index: int
    name: str
    arguments: dict[str, Any]


class ToolCall(msgspec.Struct, kw_only=True):
    """A call by the model. The id pairs it with the tool's answer."""

    id: str
    function: ToolCallFunction


class Logprob(msgspec.Struct, kw_only=True):
    """Natural logarithm of a token's probability. `bytes` are its UTF-8, which a token may cut in two."""

    token: str
    logprob: float
    bytes: list[int]
    top_logprobs: list[Logprob] | UnsetType = UNSET


class ResponseMessage(msgspec.Struct, kw_only=True):
    """The answer, or its next piece in a stream. Empty fields are left out, except `content`."""

    role: str = "assistant"
    content: str
    thinking: str | UnsetType = UNSET
    tool_calls: list[ToolCall] | UnsetType = UNSET


class DebugInfo(msgspec.Struct, kw_only=True, omit_defaults=True):
    """The prompt's text, for a request with `_debug_render_only`."""

    rendered_template: str
    image_count: int = 0


class _TextResponse(msgspec.Struct, kw_only=True):
    """The common fields of the answers of chat and generate, in Ollama's order."""

    model: str
    created_at: str
    output: Any
    done: bool
    done_reason: str | UnsetType = UNSET
    debug_info: DebugInfo | UnsetType = msgspec.field(default=UNSET, name="_debug_info")
    logprobs: list[Logprob] | UnsetType = UNSET
    context: list[int] | UnsetType = UNSET
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET
    prompt_eval_duration: int | UnsetType = UNSET
    eval_count: int | UnsetType = UNSET
    eval_duration: int | UnsetType = UNSET
    truncated: bool | UnsetType = UNSET
    """Puna's own: part of the prompt was left out."""
    draft_n: int | UnsetType = UNSET
    """Puna's own, named as in llama.cpp's server: draft tokens evaluated."""
    draft_n_accepted: int | UnsetType = UNSET
    """Draft tokens accepted."""


class ChatResponse(_TextResponse, kw_only=True):
    """A line of /api/chat. Durations are in nanoseconds, and only in the last line."""

    output: ResponseMessage = msgspec.field(name="message")


class GenerateResponse(_TextResponse, kw_only=True):
    """A line of /api/generate. Durations are in nanoseconds, and only in the last line."""

    output: str = msgspec.field(name="response")
    thinking: str | UnsetType = UNSET


class EmbedResponse(msgspec.Struct, kw_only=True):
    """The answer of /api/embed: vectors of length 1. Durations are in nanoseconds."""

    model: str
    embeddings: list[list[float]]
    total_duration: int | UnsetType = UNSET
    load_duration: int | UnsetType = UNSET
    prompt_eval_count: int | UnsetType = UNSET


class ListModelResponse(msgspec.Struct, kw_only=True):
    """A line of /api/tags."""

    name: str
    model: str
    modified_at: str
    size: int
    """Bytes of the files."""
    digest: str
    details: dict[str, Any]
    capabilities: list[str]


class ProcessModelResponse(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A line of /api/ps."""

    name: str
    model: str
    size: int
    """Bytes in memory, `size_vram` of them on GPUs."""
    digest: str
    details: dict[str, Any]
    expires_at: str
    size_vram: int
    context_length: int
    replicas: int = 1
    """Puna's own: engines of this model, whose sizes are added up."""


def debug_info(rendered: Rendered) -> DebugInfo:
    """The prompt with numbered image markers, as Ollama writes it."""
    first, *rest = rendered.prompt.split(MEDIA_MARKER)
    prompt = first + "".join(f"[img-{number}]{text}" for number, text in enumerate(rest))
    return DebugInfo(rendered_template=prompt, image_count=rendered.images)


def tool_calls(calls: Iterable[Call]) -> list[ToolCall] | UnsetType:
    """The calls in Ollama's format; UNSET if there are none, so that the field is left out."""
    made = [
        ToolCall(
            id=call.id, function=ToolCallFunction(index=call.index, name=call.name, arguments=call.arguments)
        )
        for call in calls
    ]
    return made or UNSET


def logprobs(tokens: Iterable[TokenLogprob]) -> list[Logprob] | UnsetType:
    """The tokens in Ollama's format; UNSET if there are none, so that the field is left out."""
    made = [
        Logprob(
            token=token.token,
            logprob=token.logprob,
            bytes=token.bytes,
            top_logprobs=logprobs(token.top),
        )
        for token in tokens
    ]
    return made or UNSET


def now() -> str:
    """This moment as RFC 3339 in UTC, to the nanosecond."""
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return f"{_second(seconds)}.{nanoseconds:09d}Z"


@lru_cache(maxsize=2)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def ending(summary: Summary) -> dict[str, Any]:
    """The fields of every last object."""
    return {
        "created_at": now(),
        "done": True,
        "done_reason": summary.reason,
        "total_duration": summary.total_ns,
        "load_duration": summary.load_ns,
        "prompt_eval_count": summary.prompt_tokens,
        "prompt_eval_duration": summary.prompt_ns,
        "eval_count": summary.eval_tokens,
        "eval_duration": summary.eval_ns,
        "truncated": summary.truncated or UNSET,
        "draft_n": summary.drafted or UNSET,
        "draft_n_accepted": summary.accepted if summary.drafted else UNSET,
    }


class ListResponse(msgspec.Struct):
    """The answer of /api/tags."""

    models: list[ListModelResponse]


class ProcessResponse(msgspec.Struct):
    """The answer of /api/ps."""

    models: list[ProcessModelResponse]


class EmbeddingResponse(msgspec.Struct):
    """The answer of /api/embeddings."""

    embedding: list[float]


class VersionResponse(msgspec.Struct):
    """The answer of /api/version: the version of Ollama whose API this is, and Puna's own."""

    version: str
    puna: str


class Cloud(msgspec.Struct):
    """`source` is who switched it off: "env", the user's OLLAMA_NO_CLOUD, or "none"."""

    disabled: bool
    source: str


class CloudStatus(msgspec.Struct):
    """The answer of /api/status."""

    cloud: Cloud


class Recommendations(msgspec.Struct):
    """The answer of /api/experimental/model-recommendations."""

    recommendations: list[dict[str, Any]]


class WebSearchResponse(msgspec.Struct):
    """The answer of /api/web_search: each result has `title`, `url` and `content`."""

    results: list[dict[str, str]]
