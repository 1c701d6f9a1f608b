"""POST /api/chat."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from starlette.requests import Request

from puna.inference import ChatInput, Piece
from puna.server.body import decoded
from puna.server.framing import ObjectStream, WholeResponse
from puna.server.native.answering import ObjectWriter, answered
from puna.server.native.messages import choice, tools, turns
from puna.server.native.requests import ChatRequest
from puna.server.native.responses import ChatResponse, ResponseMessage, logprobs, tool_calls
from puna.server.rooms import rooms


async def chat(request: Request) -> ObjectStream | WholeResponse:
    """The answer, an object a line unless `stream` is false (Ollama api.md, Generate a chat completion)."""
    body = await decoded(request, ChatRequest)
    opened = rooms(request)
    offered = tools(body.tools)
    mode, name = choice(body.tool_choice, offered)
    wanted = ChatInput(
        **body.common_fields,
        messages=await turns(body.messages or (), opened.visit(body.named)),
        tools=offered,
        tool_choice=mode,
        tool_name=name,
        parallel_calls=body.parallel_tool_calls is not False,
    )
    writer = _ChatWriter(wanted.model, context=body.stream is False)
    return answered(request, opened.inference, wanted, writer, body)


class _ChatWriter(ObjectWriter):
    """A chat's objects: the answer is a message."""

    def answer(self, model: str, piece: Piece, **rest: Any) -> ChatResponse:
        output = ResponseMessage(
            content=piece.text, thinking=piece.thinking or UNSET, tool_calls=tool_calls(piece.calls)
        )
        return ChatResponse(model=model, output=output, logprobs=logprobs(piece.logprobs), **rest)
