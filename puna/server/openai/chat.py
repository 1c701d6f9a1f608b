"""POST /v1/chat/completions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace
from starlette.requests import Request

from puna.errors import BadRequest
from puna.inference import Answer, Call, ChatInput, Piece, Summary, priority
from puna.server.context import num_ctx
from puna.server.framing import EVENTS, ObjectStream, WholeResponse
from puna.server.heartbeat import HEARTBEAT
from puna.server.json_response import encode
from puna.server.openai.answers import WholeAnswer, collect, visible_logprobs
from puna.server.openai.body import read_body
from puna.server.openai.errors import line
from puna.server.openai.messages import conversation
from puna.server.openai.requests import ChatCompletionRequest
from puna.server.openai.responses import (
    CompletionResponse,
    Identity,
    chat_logprobs,
    encode_prompt,
    finish_reason,
)
from puna.server.openai.streams import ChunkWriter, stream_chunks
from puna.server.remote import Remote
from puna.server.services import services_of
from puna.types import TokenLogprob

_ROLE = {"delta": {"role": "assistant", "content": ""}}


async def chat(request: Request) -> ObjectStream | WholeResponse:
    """`n` answers to one conversation, whole or in chunks (OpenAI, Create chat completion)."""
    body = await read_body(request, ChatCompletionRequest)
    services = services_of(request)
    # Checked before the messages, whose images may have to be fetched.
    options = [body.options(index) | num_ctx(request) for index in range(body.choices)]
    ask = await _ask(body, services.remote_for(body.model_name))
    identity = Identity.new("chatcmpl", ask.model)
    if body.debug_render_only:
        completion = _completion(identity, [WholeAnswer()] * body.choices, body)
        return WholeResponse(
            encode_prompt(completion, services.inference.render(replace(ask, options=options[0])))
        )
    answers = [services.inference.chat(replace(ask, options=each)) for each in options]
    if not body.stream:
        return WholeResponse(_whole(identity, answers, body))
    chunks = ChunkWriter(identity, "chat.completion.chunk", with_usage=body.with_usage)
    deltas = _Deltas(chunks, legacy=body.legacy)
    stream = stream_chunks(answers, deltas, chunks, len(answers), with_usage=body.with_usage)
    return ObjectStream(stream, EVENTS, partial(line, names=body.name_of), patience=HEARTBEAT)


async def _ask(body: ChatCompletionRequest, remote: Remote) -> ChatInput:
    """The input that all choices share. Raises BadRequest."""
    model = body.model_name
    if not body.messages:
        raise BadRequest("[] is too short - 'messages'", "messages", "missing_required_parameter")
    body.check_stream()
    body.check_modalities()
    choice = body.choice()
    return ChatInput(
        model=model,
        tools=choice.tools,
        tool_choice=choice.mode,
        tool_name=choice.name,
        parallel_calls=body.parallel_tool_calls is not False and not body.legacy,
        schema=body.schema(),
        think=body.think(),
        # A model that cannot think ignores the fields of other servers.
        think_if_able=not (body.reasoning or body.reasoning_effort),
        logprobs=body.num_logprobs(),
        priority=priority(body.priority, body.service_tier),
        bias=body.bias(),
        messages=await conversation(body.messages, remote),
    )


class _Deltas:
    """An answer's pieces as deltas of a message."""

    def __init__(self, chunks: ChunkWriter, *, legacy: bool) -> None:
        self._chunk = chunks.chunk
        self._legacy = legacy
        self._called: set[int] = set()

    def begin(self, index: int, read: Sequence[TokenLogprob]) -> Iterator[bytes]:
        assert not read, "a conversation's prompt is not reported"
        yield self._chunk(index, _ROLE)

    def piece(self, index: int, piece: Piece) -> Iterator[bytes]:
        """Reasoning, text and calls in separate chunks, because clients read only one of them."""
        if piece.thinking:
            both = {"reasoning": piece.thinking, "reasoning_content": piece.thinking}
            yield self._chunk(index, {"delta": both})
        logprobs = visible_logprobs(piece)
        if piece.text or logprobs:
            reported = chat_logprobs(logprobs) if logprobs else None
            yield self._chunk(index, {"delta": {"content": piece.text}}, reported)
        if piece.calls:
            self._called.add(index)
            called = _calls(piece.calls, legacy=self._legacy, numbered=True)
            yield self._chunk(index, {"delta": called})

    def end(self, index: int, summary: Summary) -> bytes:
        why = finish_reason(summary, called=index in self._called, legacy=self._legacy)
        return self._chunk(index, {"delta": {}}, reason=why)


async def _whole(identity: Identity, answers: Sequence[Answer], body: ChatCompletionRequest) -> bytes:
    return encode(_completion(identity, await collect(answers), body))


def _completion(
    identity: Identity, answers: Sequence[WholeAnswer], body: ChatCompletionRequest
) -> CompletionResponse:
    choices = [_choice(index, answer, body) for index, answer in enumerate(answers)]
    return identity.whole("chat.completion", choices, [answer.end for answer in answers], len(answers))


def _choice(index: int, answer: WholeAnswer, body: ChatCompletionRequest) -> dict[str, Any]:
    text, calls, end = answer.piece.text, answer.piece.calls, answer.end
    message: dict[str, Any] = {"role": "assistant", "content": text if text or not calls else None}
    message["refusal"] = None
    if thinking := answer.piece.thinking:
        message["reasoning"] = message["reasoning_content"] = thinking
    if calls:
        message |= _calls(calls, legacy=body.legacy)
    return {
        "index": index,
        "message": message,
        "logprobs": chat_logprobs(answer.piece.logprobs) if body.logprobs else None,
        "finish_reason": finish_reason(end, called=bool(calls), legacy=body.legacy) if end else None,
    }


def _calls(calls: Sequence[Call], *, legacy: bool, numbered: bool = False) -> dict[str, Any]:
    """The calls of a message or, if `numbered`, of a delta."""
    if legacy:
        return {"function_call": _function(calls[0])}
    return {
        "tool_calls": [
            {
                **({"index": call.index} if numbered else {}),
                "id": call.id,
                "type": "function",
                "function": _function(call),
            }
            for call in calls
        ]
    }


def _function(call: Call) -> dict[str, str]:
    return {"name": call.name, "arguments": encode(call.arguments).decode()}
