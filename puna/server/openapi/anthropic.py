"""Anthropic's operations. A message's blocks and a stream's events are as Anthropic describes them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from puna.server.anthropic.requests import MessagesBody, PromptBody
from puna.server.openapi.operation import Operation

_TAG = "Anthropic"
_REFUSALS = (400, 404, 413, 500, 529)


class Problem(msgspec.Struct):
    type: str
    message: str


class Refusal(msgspec.Struct):
    type: Literal["error"]
    error: Problem
    request_id: str


class Message(msgspec.Struct, kw_only=True):
    id: str
    type: Literal["message"]
    role: Literal["assistant"]
    model: str
    content: list[dict[str, Any]]
    stop_reason: str | None
    stop_sequence: str | None
    usage: dict[str, Any]


class Event(msgspec.Struct):
    type: str


class Tokens(msgspec.Struct):
    input_tokens: int


OPERATIONS = [
    Operation(
        method="POST",
        path="/v1/messages",
        tag=_TAG,
        summary="The next message of a conversation",
        body=MessagesBody,
        answer=Message,
        event=Event,
        refusals=_REFUSALS,
        error=Refusal,
    ),
    Operation(
        method="POST",
        path="/v1/messages/count_tokens",
        tag=_TAG,
        summary="How long a prompt is",
        body=PromptBody,
        answer=Tokens,
        refusals=_REFUSALS,
        error=Refusal,
    ),
]
