"""The common parts of responses: ids, usage, log-probabilities."""

from __future__ import annotations

import time
from codecs import getincrementaldecoder
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from puna.inference import Rendered, Summary
from puna.server.json_response import encode
from puna.types import TokenLogprob


class PromptTokensDetails(msgspec.Struct):
    """Of a prompt's tokens."""

    cached_tokens: int


class Reasoned(msgspec.Struct):
    """Of an answer's tokens."""

    reasoning_tokens: int


class CompletionTokensDetails(Reasoned):
    """With the draft tokens that were accepted and rejected."""

    accepted_prediction_tokens: int
    rejected_prediction_tokens: int


class Usage(msgspec.Struct):
    """Tokens. `prompt_tokens` includes cached ones, and counts a prompt of several answers once."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails
    completion_tokens_details: CompletionTokensDetails


class _Completion(msgspec.Struct, kw_only=True):
    """The fields that whole answers and chunks share."""

    id: str
    object: str
    created: int
    """Seconds since 1970."""
    model: str
    system_fingerprint: str
    choices: list[dict[str, Any]]


class CompletionResponse(_Completion, kw_only=True):
    """An answer of chat completions or completions; `object` says which."""

    usage: Usage
    debug_info: dict[str, Any] | UnsetType = msgspec.field(default=UNSET, name="_debug_info")


class CompletionChunk(_Completion, kw_only=True):
    """A part of an answer. The last event of a stream is [DONE]."""

    usage: Usage | UnsetType | None = UNSET
    """With `include_usage`; null before the last chunk."""


class Identity(msgspec.Struct, frozen=True):
    """The fields that every object of one response repeats."""

    id: str
    created: int
    model: str
    system_fingerprint: str = "fp_puna"

    @classmethod
    def new(cls, kind: str, model: str) -> Identity:
        """A new identity; its id begins with `kind`."""
        return cls(f"{kind}-{uuid4().hex}", int(time.time()), model)

    def whole(
        self, object: str, choices: list[dict[str, Any]], ends: Iterable[Summary | None], each: int
    ) -> CompletionResponse:
        """The answer; `each`: number of choices for each prompt."""
        return CompletionResponse(
            **asdict(self), object=object, choices=choices, usage=usage([end for end in ends if end], each)
        )

    def chunk(self, object: str, *, with_usage: bool) -> CompletionChunk:
        """A chunk without choices."""
        return CompletionChunk(**asdict(self), object=object, choices=[], usage=None if with_usage else UNSET)


def usage(summaries: Sequence[Summary], choices: int) -> Usage:
    """Usage of the answers. Each `choices` consecutive answers share a prompt, which counts once."""
    prompts = summaries[::choices]
    prompt_tokens = sum(summary.prompt_tokens for summary in prompts)
    answer_tokens = sum(summary.eval_tokens for summary in summaries)
    return Usage(
        prompt_tokens,
        answer_tokens,
        prompt_tokens + answer_tokens,
        PromptTokensDetails(sum(summary.cached_tokens for summary in prompts)),
        CompletionTokensDetails(
            sum(summary.reasoning_tokens for summary in summaries),
            sum(summary.accepted for summary in summaries),
            sum(summary.drafted - summary.accepted for summary in summaries),
        ),
    )


def finish_reason(summary: Summary, *, called: bool = False, legacy: bool = False) -> str:
    """OpenAI's `finish_reason`; `legacy` for a request with `functions`."""
    if summary.cut:
        return "length"
    if not called:
        return "stop"
    return "function_call" if legacy else "tool_calls"


async def encode_prompt(completion: CompletionResponse, rendering: Awaitable[Rendered]) -> bytes:
    """The answer with the prompt's text in `_debug_info` (Ollama api/types.go, DebugInfo)."""
    prompt = await rendering
    completion.debug_info = {"rendered_template": prompt.prompt, "image_count": prompt.images}
    return encode(completion)


def chat_logprobs(tokens: Iterable[TokenLogprob]) -> dict[str, Any]:
    """Log-probabilities in the format of chat completions."""
    content = [{**_token(token), "top_logprobs": [_token(other) for other in token.top]} for token in tokens]
    return {"content": content, "refusal": None}


def _token(token: TokenLogprob) -> dict[str, Any]:
    return {"token": token.token, "logprob": token.logprob, "bytes": token.bytes}


class TextLogprobs:
    """Log-probabilities in the format of completions; tracks the text offset of one answer.

    `text_offset` counts characters. A token that starts inside a character has that character's offset.
    """

    def __init__(self) -> None:
        self._offset = 0
        self._decoder = getincrementaldecoder("utf-8")("replace")

    def of(self, tokens: Iterable[TokenLogprob], *, opening: bool = False) -> dict[str, Any]:
        """Of the next tokens. If they start the text (`opening`), the first one has no log-probability."""
        tokens = list(tokens)
        offsets: list[int] = []
        for token in tokens:
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(bytes(token.bytes)))
        known = tokens[1:] if opening else tokens
        nothing = [None] * (len(tokens) - len(known))
        # OpenAI includes the token itself.
        likeliest = [{other.token: other.logprob for other in (*token.top, token)} for token in known]
        return {
            "tokens": [token.token for token in tokens],
            "token_logprobs": [*nothing, *(token.logprob for token in known)],
            "top_logprobs": [*nothing, *likeliest],
            "text_offset": offsets,
        }
