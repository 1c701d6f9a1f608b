"""POST /v1/messages and /v1/messages/count_tokens, and every path of Anthropic's API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from puna.inference import Answer, Begun, ChatInput, Piece, Summary
from puna.server.anthropic.answer import NOTHING, request_facts, whole, without_text
from puna.server.anthropic.conversion import chat_input
from puna.server.anthropic.errors import MIDDLEWARE, line
from puna.server.anthropic.events import PING, MessageEvents, failed
from puna.server.anthropic.models import AnthropicRoute, model, models
from puna.server.anthropic.requests import CountTokensRequest, MessagesRequest
from puna.server.body import decoded
from puna.server.context import num_ctx
from puna.server.errors import JSON
from puna.server.framing import NAMED_EVENTS, ObjectStream, WholeResponse
from puna.server.heartbeat import HEARTBEAT, with_heartbeats
from puna.server.methods import Only
from puna.server.rooms import rooms


async def messages(request: Request) -> ObjectStream | WholeResponse:
    """The next message, whole or as events. A prompt longer than the context is refused, never cut."""
    body = await decoded(request, MessagesRequest)
    answer = rooms(request).inference.chat(await _chat_input(request, body))
    if body.max_tokens == 0:
        answer = without_text(answer)
    this = request_facts(body)
    if not body.stream:
        return WholeResponse(whole(this, answer))
    name = request.scope["request_id"]
    return ObjectStream(
        streamed(answer, MessageEvents(this)), NAMED_EVENTS, lambda error: failed(line(error, name))
    )


async def _chat_input(request: Request, body: CountTokensRequest) -> ChatInput:
    sized = num_ctx(request)
    wanted = await chat_input(body, rooms(request).visit(body.model))
    return replace(wanted, options=wanted.options | sized)


class TokenCount(msgspec.Struct):
    """The answer of /v1/messages/count_tokens (Anthropic, Count tokens in a Message)."""

    input_tokens: int


async def count_tokens(request: Request) -> Response:
    """Loads the model and counts the prompt that it would get; pictures by estimate."""
    body = await decoded(request, CountTokensRequest)
    tokens = await rooms(request).inference.count(await _chat_input(request, body))
    return Response(msgspec.json.encode(TokenCount(tokens)), media_type=JSON)


async def streamed(
    answer: Answer, events: MessageEvents, patience: float = HEARTBEAT
) -> AsyncGenerator[bytes, None]:
    """The events of the answer, and pings in its silences.

    The first event waits for the first piece, so that a refusal still gets its status; but not longer than
    `patience`.
    """
    begun = False
    prompt = NOTHING
    items = with_heartbeats(answer, patience)
    async with aclosing(items):
        async for item in items:
            if isinstance(item, Begun):
                prompt = item
                continue
            before = b"" if begun else events.begin(prompt)
            if isinstance(item, Piece):
                event = before + events.piece(item)
            elif isinstance(item, Summary):
                event = before + events.end(item)
            else:
                event = before or PING
            begun = True
            if event:
                yield event


# A mount does not match its own path; without `Only`, other methods would get another dialect's 404.
routes = [
    Route("/v1/messages", messages, methods=["POST"], middleware=MIDDLEWARE),
    Route("/v1/messages", Only("POST"), middleware=MIDDLEWARE, include_in_schema=False),
    Mount(
        "/v1/messages",
        routes=[Route("/count_tokens", count_tokens, methods=["POST"])],
        middleware=MIDDLEWARE,
    ),
    AnthropicRoute("/v1/models", models, middleware=MIDDLEWARE, include_in_schema=False),
    AnthropicRoute("/v1/models/{model:path}", model, middleware=MIDDLEWARE, include_in_schema=False),
]
