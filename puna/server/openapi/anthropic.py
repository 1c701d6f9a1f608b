"""Anthropic's operations. A message's blocks and a stream's events are as Anthropic describes them."""

from __future__ import annotations

from functools import partial

from puna.server.anthropic.answer import MessageResponse
from puna.server.anthropic.errors import AnthropicErrorResponse
from puna.server.anthropic.events import MessageEvent
from puna.server.anthropic.requests import CountTokensRequest, MessagesRequest
from puna.server.anthropic.routes import TokenCount
from puna.server.openapi.operation import Operation

_REFUSALS = (400, 404, 413, 415, 500, 529)
_post = partial(Operation, method="POST", tag="Anthropic", refusals=_REFUSALS, error=AnthropicErrorResponse)

OPERATIONS = [
    _post(
        "/v1/messages", "The next message of a conversation", MessagesRequest, MessageResponse, MessageEvent
    ),
    _post("/v1/messages/count_tokens", "How long a prompt is", CountTokensRequest, TokenCount),
]
