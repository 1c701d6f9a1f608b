"""The Response object."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from puna.inference import Summary
from puna.server.ids import new_id
from puna.server.openai.responses import Reasoned
from puna.server.responses.requests import DEFAULT, ResponsesRequest

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


def begun(body: ResponsesRequest) -> dict[str, Any]:
    """The object before the first token."""
    text, reasoning = body.text, body.reasoning
    format = text.format if text and text.format else None
    return {
        "id": new_id("resp", ID_SIZE),
        "object": "response",
        "created_at": int(time.time()),
        "status": "in_progress",
        "background": False,
        "completed_at": None,
        "error": None,
        "incomplete_details": None,
        "instructions": body.instructions,
        "max_output_tokens": body.max_output_tokens,
        "max_tool_calls": None,
        "model": body.model,
        "output": [],
        "parallel_tool_calls": body.parallel_tool_calls is not False,
        "previous_response_id": body.previous_response_id,
        "reasoning": {
            "effort": reasoning and reasoning.effort,
            "summary": reasoning and reasoning.summary,
        },
        "service_tier": "default",
        "store": body.store is not False,
        "temperature": DEFAULT if body.temperature is None else body.temperature,
        "text": {
            "format": msgspec.to_builtins(format) if format else {"type": "text"},
            "verbosity": (text and text.verbosity) or "medium",
        },
        "tool_choice": body.tool_choice or "auto",
        "tools": body.tools or [],
        "top_logprobs": body.top_logprobs or 0,
        "top_p": DEFAULT if body.top_p is None else body.top_p,
        "truncation": body.truncation or "disabled",
        "usage": None,
        "user": None,
        "metadata": body.metadata or {},
    }


def ended(response: dict[str, Any], output: list[Any], summary: Summary) -> dict[str, Any]:
    """The object at the end of an answer."""
    cut = summary.cut
    return response | {
        "status": "incomplete" if cut else "completed",
        "completed_at": None if cut else int(time.time()),
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": output,
        "usage": ResponseUsage(
            summary.prompt_tokens,
            InputDetails(summary.cached_tokens),
            summary.eval_tokens,
            Reasoned(summary.reasoning_tokens),
            summary.prompt_tokens + summary.eval_tokens,
        ),
    }


def broken(response: dict[str, Any], output: list[Any], message: str) -> dict[str, Any]:
    """The object of a failed response."""
    error = {"code": "server_error", "message": message}
    return response | {"status": "failed", "output": output, "error": error}
