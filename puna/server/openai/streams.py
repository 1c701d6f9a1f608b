"""Streams of chunks, for chat completions and completions."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from msgspec.structs import replace

from puna.inference import Answer, Begun, Piece, Summary
from puna.server.json_response import encode
from puna.server.openai.answers import interleave
from puna.server.openai.responses import Identity, Usage, usage
from puna.types import TokenLogprob

_DONE = b"[DONE]"


class ChunkWriter:
    """Writes the chunks of one stream."""

    def __init__(self, identity: Identity, object: str, *, with_usage: bool) -> None:
        self._chunk = identity.chunk(object, with_usage=with_usage)

    def chunk(
        self, index: int, fields: dict[str, Any], logprobs: Any = None, reason: str | None = None
    ) -> bytes:
        """A chunk of one answer."""
        self._chunk.choices = [{"index": index, **fields, "logprobs": logprobs, "finish_reason": reason}]
        return encode(self._chunk)

    def usage(self, usage: Usage) -> bytes:
        """The last chunk, after the end of all answers."""
        return encode(replace(self._chunk, choices=[], usage=usage))


class ChunkFormatter(Protocol):
    """Formats the answers of an endpoint as chunks."""

    def begin(self, index: int, read: Sequence[TokenLogprob]) -> Iterable[bytes]:
        """`read`: the prompt's log-probabilities, if requested."""
        ...

    def piece(self, index: int, piece: Piece) -> Iterable[bytes]: ...

    def end(self, index: int, summary: Summary) -> bytes: ...


async def stream_chunks(
    answers: Sequence[Answer],
    formatter: ChunkFormatter,
    chunks: ChunkWriter,
    choices: int,
    *,
    with_usage: bool,
) -> AsyncGenerator[bytes, None]:
    """The chunks of the answers, `choices` to each prompt, then usage and [DONE]."""
    begun = [False] * len(answers)
    read: dict[int, Sequence[TokenLogprob]] = {}
    ends: dict[int, Summary] = {}
    async with aclosing(interleave(answers)) as items:
        async for index, item in items:
            if isinstance(item, Begun):
                read[index] = item.read
                continue
            if not begun[index]:
                begun[index] = True
                for chunk in formatter.begin(index, read.get(index, ())):
                    yield chunk
            if isinstance(item, Piece):
                for chunk in formatter.piece(index, item):
                    yield chunk
            elif isinstance(item, Summary):
                ends[index] = item
                yield formatter.end(index, item)
    if with_usage:
        yield chunks.usage(usage([ends[index] for index in range(len(answers))], choices))
    yield _DONE
