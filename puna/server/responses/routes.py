"""POST /v1/responses, GET and DELETE /v1/responses/{id}, POST /v1/responses/input_tokens."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Literal

import msgspec
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from puna.access import caller
from puna.inference import Answer, Begun, ChatInput, Piece, Summary, priority
from puna.server.body import decoded
from puna.server.context import num_ctx
from puna.server.errors import JSON, sentence
from puna.server.framing import COMMENT, NAMED_EVENTS, ObjectStream, WholeResponse
from puna.server.heartbeat import HEARTBEAT, with_heartbeats
from puna.server.methods import Only
from puna.server.openai.errors import MIDDLEWARE, use_field_names
from puna.server.responses.conversion import FunctionOffer, chat_input, offered
from puna.server.responses.errors import invalid
from puna.server.responses.events import ResponseEvents
from puna.server.responses.items import messages
from puna.server.responses.reply import begun
from puna.server.responses.requests import InputTokensRequest, ResponsesRequest, check, name_of
from puna.server.responses.store import Store, StoredResponse
from puna.server.rooms import rooms
from puna.types import Message

Keep = Callable[[ResponseEvents], None]
"""Called with a finished response, before the client gets its end."""

SEALED = "reasoning.encrypted_content"
"""In `include`."""


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
    """The answer, whole or as events. Unless `store` is false, it is kept for others to continue."""
    body = await decoded(request, ResponsesRequest)
    offer, conversation = await _read(request, body)
    urgency = priority(None, body.service_tier)
    wanted = replace(_sized(request, chat_input(body, conversation, offer.tools)), priority=urgency)
    events = ResponseEvents(begun(body), encrypted=SEALED in (body.include or ()), places=offer.places)
    store = _store(request)

    def keep(events: ResponseEvents) -> None:
        if body.store is not False:
            response = events.response
            items = [item["id"] for item in response.output]
            kept = StoredResponse(msgspec.json.encode(response), [*conversation, events.message], items)
            store.keep(response.id, kept)

    answer = rooms(request).inference.chat(wanted)
    if not body.stream:
        return WholeResponse(whole(answer, events, keep))
    return ObjectStream(
        streamed(answer, events, keep), NAMED_EVENTS, lambda error: events.failed(sentence(error))
    )


def _sized(request: Request, wanted: ChatInput) -> ChatInput:
    return replace(wanted, options=wanted.options | num_ctx(request))


async def input_tokens(request: Request) -> Response:
    """Loads the model and counts the prompt that it would get; pictures by estimate."""
    body = await decoded(request, InputTokensRequest)
    offer, conversation = await _read(request, body)
    wanted = _sized(request, chat_input(body, conversation, offer.tools))
    tokens = await rooms(request).inference.count(wanted)
    answer = InputTokens("response.input_tokens", tokens)
    return Response(msgspec.json.encode(answer), media_type=JSON)


async def retrieve(request: Request) -> Response:
    """A stored answer, unchanged. Raises BadRequest if a stream is requested, Unknown if it is not stored."""
    if request.query_params.get("stream") == "true":
        raise invalid("stream", "an answer that was kept comes whole", "unsupported_parameter")
    return Response(_store(request).get(request.path_params["id"]).body, media_type=JSON)


async def delete(request: Request) -> Response:
    """Forgets a stored answer. Answers that continue it hold the conversation themselves. Raises Unknown."""
    id = request.path_params["id"]
    _store(request).delete(id)
    return Response(msgspec.json.encode(Deleted(id, "response", deleted=True)), media_type=JSON)


async def streamed(
    answer: Answer, events: ResponseEvents, keep: Keep, patience: float = HEARTBEAT
) -> AsyncGenerator[bytes, None]:
    """The events of the answer, and keep-alives in its silences.

    The first event waits for the first piece, so that a refusal still gets its status; but not longer than
    `patience`. Agents need events, not comments; but a state event after output would reset their state.
    """
    begun = spoken = False
    async with aclosing(with_heartbeats(answer, patience)) as items:
        async for item in items:
            if isinstance(item, Begun):
                continue
            event = b"" if begun else events.begin()
            if isinstance(item, Piece):
                event += events.piece(item)
            elif isinstance(item, Summary):
                event += events.end(item)
                keep(events)
            elif begun:
                event = COMMENT if spoken else events.waiting()
            begun, spoken = True, spoken or item is not None
            if event:
                yield event


async def whole(answer: Answer, events: ResponseEvents, keep: Keep) -> bytes:
    """The Response object."""
    async with aclosing(streamed(answer, events, keep)) as event:
        async for _ in event:
            pass
    return msgspec.json.encode(events.response)


async def _read(request: Request, body: InputTokensRequest) -> tuple[FunctionOffer, list[Message]]:
    """The tools, and the messages without instructions. Raises BadRequest."""
    use_field_names(request, name_of)
    check(body)
    store = _store(request)
    if isinstance(body.input, list):
        body = msgspec.structs.replace(body, input=store.recalled(body.input))
    offer = offered(body)
    before = store.before(body.previous_response_id)
    turns = await messages(body.input or [], before, rooms(request).visit(body.model))
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
