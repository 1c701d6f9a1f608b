"""Anthropic's operations. A message's blocks and a stream's events are as Anthropic describes them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from puna.server.anthropic.errors import AnthropicErrorResponse
from puna.server.anthropic.requests import CountTokensRequest, MessagesRequest
from puna.server.anthropic.routes import TokenCount
from puna.server.openapi.operation import Operation

_TAG = "Anthropic"
_REFUSALS = (400, 404, 413, 500, 529)


class MessageResponse(msgspec.Struct, kw_only=True):
    """A whole answer (Anthropic, Messages). `content` is its blocks, `usage` its tokens."""

    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    stop_sequence: str | None
    usage: dict[str, Any]


class MessageEvent(msgspec.Struct):
    """An event of a stream. Its other fields depend on its type (Anthropic, Streaming Messages)."""

    type: str


def _post(path: str, summary: str, body: Any, answer: Any, event: Any = None) -> Operation:
    return Operation(
        method="POST",
        path=path,
        tag=_TAG,
        summary=summary,
        body=body,
        answer=answer,
        event=event,
        refusals=_REFUSALS,
        error=AnthropicErrorResponse,
    )


OPERATIONS = [
    _post(
        "/v1/messages", "The next message of a conversation", MessagesRequest, MessageResponse, MessageEvent
    ),
    _post("/v1/messages/count_tokens", "How long a prompt is", CountTokensRequest, TokenCount),
]
