"""POST /v1/responses, GET and DELETE /v1/responses/{id}, POST /v1/responses/input_tokens."""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from puna.access import caller
from puna.inference import ChatInput, Inference, priority
from puna.server.body import decode_body
from puna.server.context import num_ctx
from puna.server.framing import ObjectStream, WholeResponse
from puna.server.json_response import JSON, encode, json_response
from puna.server.methods import Only
from puna.server.named_events import NAMED_EVENTS, stream_events, whole_response
from puna.server.openai.errors import MIDDLEWARE, message_of, use_field_names
from puna.server.responses.conversion import FunctionOffer, chat_input, function_offer
from puna.server.responses.errors import invalid
from puna.server.responses.events import ResponseEvents
from puna.server.responses.items import messages
from puna.server.responses.reply import new_response
from puna.server.responses.requests import InputTokensRequest, ResponsesRequest, check, name_of
from puna.server.responses.store import Store, StoredResponse
from puna.server.searching import searching_answer
from puna.server.services import services_of
from puna.types import Message

ENCRYPTED_REASONING = "reasoning.encrypted_content"
"""The value in `include` that asks for `encrypted_content`."""


class InputTokens(msgspec.Struct):
    """The answer of /v1/responses/input_tokens (OpenAI, Get input token counts)."""

    object: Literal["response.input_tokens"]
    input_tokens: int


class Deleted(msgspec.Struct):
    """The answer of DELETE /v1/responses/{id}."""

    id: str
    object: Literal["response"]
    deleted: bool


async def create(request: Request) -> ObjectStream | WholeResponse:
    """The answer, whole or as events. Unless `store` is false, later requests can continue it."""
    body = await decode_body(request, ResponsesRequest)
    offer, conversation = await _read(request, body)
    urgency = priority(None, body.service_tier)
    wanted = replace(_with_num_ctx(request, chat_input(body, conversation, offer)), priority=urgency)
    encrypted = ENCRYPTED_REASONING in (body.include or ())
    store = _store(request)

    def keep(events: ResponseEvents) -> None:
        if body.store is not False:
            response = events.response
            items = [item["id"] for item in response.output]
            kept = StoredResponse(encode(response), [*conversation, events.message], items)
            store.add(response.id, kept)

    events = ResponseEvents(new_response(body), encrypted=encrypted, origins=offer.origins, on_finish=keep)
    services = services_of(request)
    answer = (
        searching_answer(services.inference, wanted, services.web, offer.search)
        if offer.search
        else services.inference.chat(wanted)
    )
    if not body.stream:
        return WholeResponse(whole_response(answer, events))
    return ObjectStream(
        stream_events(answer, events), NAMED_EVENTS, lambda error: events.fail(message_of(error))
    )


def _with_num_ctx(request: Request, wanted: ChatInput) -> ChatInput:
    return replace(wanted, options=wanted.options | num_ctx(request))


async def input_tokens(request: Request) -> WholeResponse:
    """Loads the model and counts the prompt's tokens; those of pictures are estimated."""
    body = await decode_body(request, InputTokensRequest)
    offer, conversation = await _read(request, body)
    wanted = _with_num_ctx(request, chat_input(body, conversation, offer))
    return WholeResponse(_count(services_of(request).inference, wanted))


async def _count(inference: Inference, wanted: ChatInput) -> bytes:
    return encode(InputTokens("response.input_tokens", await inference.count(wanted)))


async def retrieve(request: Request) -> Response:
    """A stored answer. Raises BadRequest if a stream is requested, Unknown if it is not stored."""
    if request.query_params.get("stream") == "true":
        raise invalid("stream", "an answer that was kept comes whole", "unsupported_parameter")
    return Response(_store(request).get(request.path_params["id"]).body, media_type=JSON)


async def delete(request: Request) -> Response:
    """Removes a stored answer, but not the answers that continue it. Raises Unknown."""
    id = request.path_params["id"]
    _store(request).delete(id)
    return json_response(Deleted(id, "response", deleted=True))


async def _read(request: Request, body: InputTokensRequest) -> tuple[FunctionOffer, list[Message]]:
    """The tools, and the messages without instructions. Raises BadRequest."""
    use_field_names(request, name_of)
    check(body)
    store = _store(request)
    if isinstance(body.input, list):
        body = msgspec.structs.replace(body, input=store.resolve_references(body.input))
    offer = function_offer(body, searches=services_of(request).web.searches)
    before = store.before(body.previous_response_id)
    turns = await messages(body.input or [], before, services_of(request).remote_for(body.model))
    return offer, [*before, *turns]


def _store(request: Request) -> Store:
    """The caller's stored responses: no other key sees them."""
    state = request.app.state
    if not hasattr(state, "responses"):
        state.responses = defaultdict(Store)
    return state.responses[caller().id]


# A mount does not match its own path; without `Only`, other methods would get another dialect's 404.
routes = [
    Route("/v1/responses", create, methods=["POST"], middleware=MIDDLEWARE),
    Route("/v1/responses", Only("POST"), middleware=MIDDLEWARE, include_in_schema=False),
    Mount(
        "/v1/responses",
        routes=[
            Route("/input_tokens", input_tokens, methods=["POST"]),
            Route("/{id}", retrieve),
            Route("/{id}", delete, methods=["DELETE"]),
        ],
        middleware=MIDDLEWARE,
    ),
]
