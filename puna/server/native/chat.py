"""POST /api/chat."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from starlette.requests import Request

from puna.inference import ChatInput, Piece
from puna.server.body import decode_body
from puna.server.framing import ObjectStream, WholeResponse
from puna.server.native.answering import ObjectWriter, respond
from puna.server.native.messages import choice, tools, turns
from puna.server.native.requests import ChatRequest
from puna.server.native.responses import ChatResponse, ResponseMessage, logprobs, tool_calls
from puna.server.services import services_of


async def chat(request: Request) -> ObjectStream | WholeResponse:
    """The answer, an object a line unless `stream` is false (Ollama api.md, Generate a chat completion)."""
    body = await decode_body(request, ChatRequest)
    services = services_of(request)
    offered = tools(body.tools)
    mode, name = choice(body.tool_choice, offered)
    wanted = ChatInput(
        **body.common_fields,
        messages=await turns(body.messages or (), services.remote_for(body.model_name)),
        tools=offered,
        tool_choice=mode,
        tool_name=name,
        parallel_calls=body.parallel_tool_calls is not False,
    )
    writer = ObjectWriter(_object, wanted.model, context=body.stream is False)
    return respond(request, services.inference, wanted, writer, body)


def _object(model: str, piece: Piece, **rest: Any) -> ChatResponse:
    output = ResponseMessage(
        content=piece.text, thinking=piece.thinking or UNSET, tool_calls=tool_calls(piece.calls)
    )
    return ChatResponse(model=model, output=output, logprobs=logprobs(piece.logprobs), **rest)
