"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec.structs import replace
from starlette.requests import Request

from puna.inference import Answer, Call, ChatRequest, Piece, Rendered, Summary
from puna.server.framing import EVENTS, Stream, Whole
from puna.server.openai.answers import Told, gathered, said
from puna.server.openai.errors import Invalid, line
from puna.server.openai.messages import conversation
from puna.server.openai.requests import ChatBody, asked
from puna.server.openai.responses import Identity, chat_logprobs, debug_info, encode, reason, usage
from puna.server.openai.streams import Pieces, streamed
from puna.server.openai.tools import chosen
from puna.server.remote import Remote
from puna.server.rooms import rooms

_ROLE = b'"delta":{"role":"assistant","content":""}'


async def chat(request: Request) -> Stream | Whole:
    body = await asked(request, ChatBody)
    opened = rooms(request)
    # Before the messages, for their pictures may have to be fetched.
    options = [body.options(index) for index in range(body.choices)]
    ask = await _ask(body, opened.visit(body.named))
    answers = [opened.inference.chat(replace(ask, options=each)) for each in options]
    identity = Identity.new("chatcmpl", ask.model)
    if not body.stream or ask.rendered_only:
        return Whole(_whole(identity, answers, with_logprobs=ask.logprobs is not None))
    pieces = Pieces(identity, "chat.completion.chunk", len(answers), with_usage=body.with_usage)
    chunks = streamed(answers, _Deltas(pieces), pieces, len(answers), with_usage=body.with_usage)
    return Stream(chunks, EVENTS, line)


async def _ask(body: ChatBody, remote: Remote) -> ChatRequest:
    """What all answers have in common. Raises BadRequest."""
    model = body.named
    if not body.messages:
        raise Invalid("messages", "[] is too short - 'messages'", "missing_required_parameter")
    body.check_modalities()
    choice = chosen(body)
    return ChatRequest(
        model=model,
        tools=choice.tools,
        tool_choice=choice.way,
        tool_name=choice.name,
        parallel_calls=body.parallel_tool_calls is not False,
        schema=body.schema(),
        think=body.think(),
        logprobs=body.likeliest(),
        bias=body.bias(),
        rendered_only=body.debug_render_only is True,
        messages=await conversation(body.messages, remote),
    )


class _Deltas:
    """An answer's pieces as deltas of a message."""

    def __init__(self, pieces: Pieces) -> None:
        self._chunk = pieces.chunk
        self._called: set[int] = set()

    def begin(self, index: int) -> Iterator[bytes]:
        yield self._chunk(index, _ROLE)

    def piece(self, index: int, piece: Piece) -> Iterator[bytes]:
        """Reasoning, text and calls apart, for clients that look at one of them."""
        if piece.thinking:
            text = encode(piece.thinking)
            both = b'"delta":{"reasoning":' + text + b',"reasoning_content":' + text + b"}"
            yield self._chunk(index, both)
        logprobs = said(piece)
        if piece.text or logprobs:
            logprobs = encode(chat_logprobs(logprobs)) if logprobs else b"null"
            yield self._chunk(index, b'"delta":{"content":' + encode(piece.text) + b"}", logprobs)
        if piece.calls:
            self._called.add(index)
            calls = encode([{"index": call.index, **_call(call)} for call in piece.calls])
            yield self._chunk(index, b'"delta":{"tool_calls":' + calls + b"}")

    def end(self, index: int, summary: Summary) -> bytes:
        why = reason(summary, called=index in self._called)
        return self._chunk(index, b'"delta":{}', reason=encode(why))


async def _whole(identity: Identity, answers: Sequence[Answer], *, with_logprobs: bool) -> bytes:
    told = await gathered(answers)
    completion = identity.fields("chat.completion")
    completion["choices"] = [_choice(index, answer, with_logprobs) for index, answer in enumerate(told)]
    ends = [answer.end for answer in told]
    completion["usage"] = usage([end for end in ends if isinstance(end, Summary)], len(told))
    if isinstance(ends[0], Rendered):
        completion["_debug_info"] = debug_info(ends[0])
    return encode(completion)


def _choice(index: int, answer: Told, with_logprobs: bool) -> dict[str, Any]:
    text, calls = answer.text, answer.calls
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    message["refusal"] = None
    if thinking := answer.thinking:
        message["reasoning"] = message["reasoning_content"] = thinking
    if calls:
        message["tool_calls"] = [_call(call) for call in calls]
    end = answer.end
    return {
        "index": index,
        "message": message,
        "logprobs": chat_logprobs(answer.logprobs) if with_logprobs else None,
        "finish_reason": reason(end, called=bool(calls)) if isinstance(end, Summary) else None,
    }


def _call(call: Call) -> dict[str, Any]:
    function = {"name": call.name, "arguments": encode(call.arguments).decode()}
    return {"id": call.id, "type": "function", "function": function}
