"""The Response object."""

from __future__ import annotations

import time
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from puna.inference import Summary
from puna.server.ids import new_id
from puna.server.openai.responses import Reasoned
from puna.server.responses.requests import DEFAULT, ResponsesRequest, TextConfig, TextFormat

ID_SIZE = 24
"""Bytes of an id, as in OpenAI's."""


class InputDetails(msgspec.Struct):
    """`cached_tokens` of the prompt were not evaluated again; `cache_write_tokens` is always 0."""

    cached_tokens: int
    cache_write_tokens: int = 0


class ResponseUsage(msgspec.Struct):
    """Tokens. `input_tokens` includes cached ones, `output_tokens` those of reasoning."""

    input_tokens: int
    input_tokens_details: InputDetails
    output_tokens: int
    output_tokens_details: Reasoned
    total_tokens: int


class Response(msgspec.Struct, kw_only=True):
    """An answer of /v1/responses, in progress or whole (OpenAI, The response object)."""

    id: str
    object: Literal["response"]
    created_at: int
    """Seconds since 1970."""
    status: str
    background: bool = False
    completed_at: int | None = None
    error: dict[str, str] | None = None
    incomplete_details: dict[str, str] | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: None = None
    model: str
    output: list[dict[str, Any]]
    """Items."""
    parallel_tool_calls: bool
    previous_response_id: str | None
    reasoning: dict[str, str | None]
    service_tier: str = "default"
    store: bool
    temperature: float
    text: TextConfig
    tool_choice: str | dict[str, Any]
    tools: list[dict[str, Any]]
    top_logprobs: int
    top_p: float
    truncation: str
    usage: ResponseUsage | None = None
    user: None = None
    metadata: dict[str, str]


def new_response(body: ResponsesRequest) -> Response:
    """The object before the first token."""
    text, reasoning = body.text, body.reasoning
    return Response(
        id=new_id("resp", ID_SIZE),
        object="response",
        created_at=int(time.time()),
        status="in_progress",
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        model=body.model,
        output=[],
        parallel_tool_calls=body.parallel_tool_calls is not False,
        previous_response_id=body.previous_response_id,
        reasoning={"effort": reasoning and reasoning.effort, "summary": reasoning and reasoning.summary},
        store=body.store is not False,
        temperature=DEFAULT if body.temperature is None else body.temperature,
        text=TextConfig(
            format=(text and text.format) or TextFormat(type="text"),
            verbosity=(text and text.verbosity) or "medium",
        ),
        tool_choice=body.tool_choice or "auto",
        tools=body.tools or [],
        top_logprobs=body.top_logprobs or 0,
        top_p=DEFAULT if body.top_p is None else body.top_p,
        truncation=body.truncation or "disabled",
        metadata=body.metadata or {},
    )


def completed_response(response: Response, output: list[dict[str, Any]], summary: Summary) -> Response:
    """The object at the end of an answer."""
    cut = summary.cut
    return replace(
        response,
        status="incomplete" if cut else "completed",
        completed_at=None if cut else int(time.time()),
        incomplete_details={"reason": "max_output_tokens"} if cut else None,
        output=output,
        usage=ResponseUsage(
            summary.prompt_tokens,
            InputDetails(summary.cached_tokens),
            summary.eval_tokens,
            Reasoned(summary.reasoning_tokens),
            summary.prompt_tokens + summary.eval_tokens,
        ),
    )


def failed_response(response: Response, output: list[dict[str, Any]], message: str) -> Response:
    """The object of a failed response."""
    error = {"code": "server_error", "message": message}
    return replace(response, status="failed", output=output, error=error)
