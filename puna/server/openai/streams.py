"""A stream of chunks: what chat completions and completions share."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Protocol

from puna.inference import Answer, Begun, Piece, Summary
from puna.server.openai.answers import interleaved
from puna.server.openai.responses import Identity, Usage, encode, usage
from puna.types import TokenLogprob

_DONE = b"[DONE]"


class ChunkTemplate:
    """Encodes the chunks of one stream; what they share is encoded once."""

    def __init__(self, identity: Identity, object: str, answers: int, *, with_usage: bool) -> None:
        self._head = encode(identity.fields(object))[:-1]
        before = self._head + b',"choices":[{"index":'
        self._before = [before + encode(index) + b"," for index in range(answers)]
        # With include_usage, all other chunks have `usage` null.
        self._after = b'}],"usage":null}' if with_usage else b"}]}"

    def chunk(self, index: int, fields: bytes, logprobs: bytes = b"null", reason: bytes = b"null") -> bytes:
        """More of one answer; `fields` are encoded, without braces."""
        parts = (self._before[index], fields, logprobs, reason, self._after)
        return b'%s%s,"logprobs":%s,"finish_reason":%s%s' % parts

    def usage(self, usage: Usage) -> bytes:
        """The chunk after the last answer's end."""
        return b"".join((self._head, b',"choices":[],"usage":', encode(usage), b"}"))


class Wording(Protocol):
    """How an endpoint writes its answers as chunks, by index."""

    def begin(self, index: int, read: Sequence[TokenLogprob]) -> Iterable[bytes]:
        """`read`: the tokens of the prompt, if they are reported."""
        ...

    def piece(self, index: int, piece: Piece) -> Iterable[bytes]: ...

    def end(self, index: int, summary: Summary) -> bytes: ...


async def streamed(
    answers: Sequence[Answer], wording: Wording, pieces: ChunkTemplate, choices: int, *, with_usage: bool
) -> AsyncGenerator[bytes, None]:
    """The chunks of the answers, `choices` to each prompt, then usage and [DONE]."""
    begun = [False] * len(answers)
    read: dict[int, Sequence[TokenLogprob]] = {}
    ends: dict[int, Summary] = {}
    async with aclosing(interleaved(answers)) as items:
        async for index, item in items:
            if isinstance(item, Begun):
                read[index] = item.read
                continue
            if not begun[index]:
                begun[index] = True
                for chunk in wording.begin(index, read.get(index, ())):
                    yield chunk
            if isinstance(item, Piece):
                for chunk in wording.piece(index, item):
                    yield chunk
            elif isinstance(item, Summary):
                ends[index] = item
                yield wording.end(index, item)
    if with_usage:
        yield pieces.usage(usage([ends[index] for index in range(len(answers))], choices))
    yield _DONE
