"""POST /v1/completions."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator, Sequence
from functools import partial
from typing import Any

from msgspec.structs import replace
from starlette.requests import Request

from puna.errors import BadRequest
from puna.inference import Answer, GenerateInput, Inference, Piece, Summary, priority
from puna.server.content import escape_markers
from puna.server.context import num_ctx
from puna.server.framing import EVENTS, ObjectStream, WholeResponse
from puna.server.heartbeat import HEARTBEAT
from puna.server.json_response import encode
from puna.server.openai.answers import WholeAnswer, collect, visible_logprobs
from puna.server.openai.body import is_tokens, read_body, texts_or_tokens
from puna.server.openai.errors import line
from puna.server.openai.requests import CompletionRequest
from puna.server.openai.responses import (
    CompletionResponse,
    Identity,
    TextLogprobs,
    encode_prompt,
    finish_reason,
)
from puna.server.openai.streams import ChunkWriter, stream_chunks
from puna.server.services import services_of
from puna.types import TokenLogprob


async def completions(request: Request) -> ObjectStream | WholeResponse:
    """`n` answers to each prompt, whole or in chunks (OpenAI, Create completion)."""
    body = await read_body(request, CompletionRequest)
    inference = services_of(request).inference
    options = [body.options(index) | num_ctx(request) for index in range(body.choices)]
    asks = [ask for prompt in await _prompts(body, inference) for ask in [prompt] * len(options)]
    asks = [replace(ask, options=options[index % len(options)]) for index, ask in enumerate(asks)]
    echoes = [ask.prompt if body.echo else "" for ask in asks]
    identity = Identity.new("cmpl", asks[0].model)
    if body.debug_render_only:
        completion = _completion(identity, [WholeAnswer()] * len(echoes), echoes, body)
        return WholeResponse(encode_prompt(completion, inference.render(asks[0])))
    answers = [inference.generate(ask) if not ask.empty else _nothing(inference.load(ask)) for ask in asks]
    if not body.stream:
        return WholeResponse(_whole(identity, answers, echoes, body))
    chunks = ChunkWriter(identity, "text_completion", with_usage=body.with_usage)
    formatter = _Texts(chunks, echoes)
    stream = stream_chunks(answers, formatter, chunks, body.choices, with_usage=body.with_usage)
    return ObjectStream(stream, EVENTS, partial(line, names=body.name_of), patience=HEARTBEAT)


async def _prompts(body: CompletionRequest, inference: Inference) -> list[GenerateInput]:
    """A request for each prompt. Raises BadRequest."""
    body.check_stream()
    body.check_best_of()
    body.check_suffix()
    common = GenerateInput(
        model=body.model_name,
        suffix=body.suffix or "",
        logprobs=body.num_logprobs(),
        bias=body.bias(),
        priority=priority(body.priority, body.service_tier),
        # Log-probabilities of the prompt are those of the raw prompt, never truncated.
        raw=body.reports_prompt,
        echo=body.reports_prompt,
        truncate=not body.reports_prompt,
        silent=body.silent,
    )
    asks: list[GenerateInput] = []
    for number, prompt in enumerate(texts_or_tokens("prompt", body.prompt)):
        if isinstance(prompt, list):
            field = "prompt" if is_tokens(body.prompt) else f"prompt[{number}]"
            try:
                text = await inference.detokenize(common.model, prompt)
            except BadRequest as error:
                raise BadRequest(str(error), error.field.replace("tokens", field)) from None

            asks.append(replace(common, prompt=escape_markers(text), tokens=prompt, raw=True))
        else:
            asks.append(replace(common, prompt=escape_markers(prompt)))
    return asks


class _Texts:
    """An answer's pieces as text, without reasoning."""

    def __init__(self, chunks: ChunkWriter, echoes: Sequence[str]) -> None:
        self._chunk = chunks.chunk
        self._echoes = echoes
        self._logprobs = [TextLogprobs() for _ in echoes]

    def begin(self, index: int, read: Sequence[TokenLogprob]) -> Iterator[bytes]:
        if echo := self._echoes[index]:
            logprobs = self._logprobs[index].of(read, opening=True) if read else None
            yield self._chunk(index, {"text": echo}, logprobs)

    def piece(self, index: int, piece: Piece) -> Iterator[bytes]:
        tokens = visible_logprobs(piece)
        if piece.text or tokens:
            logprobs = self._logprobs[index].of(tokens) if tokens else None
            yield self._chunk(index, {"text": piece.text}, logprobs)

    def end(self, index: int, summary: Summary) -> bytes:
        return self._chunk(index, {"text": ""}, reason=finish_reason(summary))


def _logprobs(answer: WholeAnswer) -> dict[str, Any]:
    return TextLogprobs().of(
        [*answer.prompt_logprobs, *answer.piece.logprobs], opening=bool(answer.prompt_logprobs)
    )


async def _nothing(load: Awaitable[None]) -> Answer:
    """The answer to an empty prompt."""
    await load
    yield Summary(reason="stop")


async def _whole(
    identity: Identity, answers: Sequence[Answer], echoes: Sequence[str], body: CompletionRequest
) -> bytes:
    return encode(_completion(identity, await collect(answers), echoes, body))


def _completion(
    identity: Identity, answers: Sequence[WholeAnswer], echoes: Sequence[str], body: CompletionRequest
) -> CompletionResponse:
    choices = [
        {
            "index": index,
            "text": echo + answer.piece.text,
            "logprobs": _logprobs(answer) if body.logprobs is not None else None,
            "finish_reason": finish_reason(answer.end) if answer.end else None,
        }
        for index, (echo, answer) in enumerate(zip(echoes, answers, strict=True))
    ]
    return identity.whole("text_completion", choices, [answer.end for answer in answers], body.choices)
