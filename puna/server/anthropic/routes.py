"""POST /v1/messages and /v1/messages/count_tokens, and every path of Anthropic's API."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.routing import Mount, Route

from puna.inference import ChatInput, Inference
from puna.server.anthropic.answer import request_facts, without_text
from puna.server.anthropic.conversion import chat_input
from puna.server.anthropic.errors import MIDDLEWARE, line
from puna.server.anthropic.events import MessageEvents, error_event
from puna.server.anthropic.models import AnthropicRoute, model, models
from puna.server.anthropic.requests import CountTokensRequest, MessagesRequest
from puna.server.anthropic.tools import ToolOffer, offer
from puna.server.body import decode_body
from puna.server.context import num_ctx
from puna.server.framing import ObjectStream, WholeResponse
from puna.server.json_response import encode
from puna.server.methods import Only
from puna.server.named_events import NAMED_EVENTS, stream_events, whole_response
from puna.server.searching import searching_answer
from puna.server.services import services_of


async def messages(request: Request) -> ObjectStream | WholeResponse:
    """The next message, whole or as events. A prompt longer than the context is refused, never cut."""
    body = await decode_body(request, MessagesRequest)
    services, tools = services_of(request), _offer(request, body)
    wanted = await _chat_input(request, body, tools)
    if body.max_tokens == 0:
        answer = without_text(services.inference.chat(wanted))
    elif tools.search:
        answer = searching_answer(services.inference, wanted, services.web, tools.search)
    else:
        answer = services.inference.chat(wanted)
    events = MessageEvents(request_facts(body))
    if not body.stream:
        return WholeResponse(whole_response(answer, events))
    name = request.scope["request_id"]
    return ObjectStream(
        stream_events(answer, events), NAMED_EVENTS, lambda error: error_event(line(error, name))
    )


def _offer(request: Request, body: CountTokensRequest) -> ToolOffer:
    return offer(body.tools or (), searches=services_of(request).web.searches)


async def _chat_input(request: Request, body: CountTokensRequest, tools: ToolOffer) -> ChatInput:
    options = num_ctx(request)
    wanted = await chat_input(body, tools, services_of(request).remote_for(body.model))
    return replace(wanted, options=wanted.options | options)


class TokenCount(msgspec.Struct):
    """The answer of /v1/messages/count_tokens (Anthropic, Count tokens in a Message)."""

    input_tokens: int


async def count_tokens(request: Request) -> WholeResponse:
    """Loads the model and counts the prompt's tokens; those of pictures are estimated."""
    body = await decode_body(request, CountTokensRequest)
    wanted = await _chat_input(request, body, _offer(request, body))
    return WholeResponse(_count(services_of(request).inference, wanted))


async def _count(inference: Inference, wanted: ChatInput) -> bytes:
    return encode(TokenCount(await inference.count(wanted)))


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
