"""The messages between the server and an engine process, over pipes.

A frame is a 4-byte little-endian length and a MessagePack value: one Command to the engine, or a list of
Events (all of one step) to the server.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from puna.errors import BadRequest, PromptTooLong, PunaError
from puna.load import EngineInfo
from puna.types import Begun, Finish, Image, Job, Sound, TokenLogprob

Fault = Literal["request", "length", "engine", "gone"]
"""The cause of a failure: a wrong request, a prompt that is too long, an engine error, the engine's end."""


class _OfRequest(msgspec.Struct, tag=True, array_like=True):
    request: int
    """Its number: the same in a command and in the events that answer it."""


class Generate(_OfRequest):
    """Answered by a Started, AnswerTexts and a Finished."""

    job: Job


class Embed(_OfRequest):
    """Answered by Vectors, a row for each text. A text over `limit` tokens is cut or refused."""

    texts: list[str | list[int]]
    truncate: bool
    limit: int
    normalize: bool


class Rank(_OfRequest):
    """Answered by Vectors of width 1: how well each document answers the query."""

    query: str
    documents: list[str]
    truncate: bool


class Tokenize(_OfRequest):
    """Answered by TokenIds. `add_bos` puts the model's begin token first."""

    text: str
    add_bos: bool


class Measure(_OfRequest):
    """Answered by a Size. The medium has no data."""

    medium: Image | Sound


class Detokenize(_OfRequest):
    """Answered by a PlainText."""

    tokens: list[int]


class Cancel(_OfRequest):
    """The server no longer wants the answer."""


class Ping(msgspec.Struct, tag=True, array_like=True):
    """Answered by a Pong between two steps."""


Command = Generate | Embed | Rank | Tokenize | Measure | Detokenize | Cancel


class Pong(msgspec.Struct, tag=True, array_like=True):
    """The loop responds."""

    longest: float
    """Seconds of the longest step so far."""


class Loading(msgspec.Struct, tag=True, array_like=True):
    """The engine has its LoadSpec."""


class Loaded(msgspec.Struct, tag=True, array_like=True):
    """The model is loaded; the engine takes requests."""

    info: EngineInfo
    longest: float
    """As in a Pong."""


class LoadRefused(msgspec.Struct, tag=True, array_like=True):
    """The model could not be loaded; the process ends."""

    message: str
    on_device: bool = False
    """Whether it was to be on a GPU."""


class Starved(msgspec.Struct, tag=True, array_like=True):
    """An allocation failed. If the engine ends, this is probably why."""


class Started(_OfRequest):
    """The prompt's evaluation begins, or has ended if its tokens are reported."""

    begun: Begun


class AnswerText(_OfRequest):
    """More of an answer: the text of `tokens` more tokens."""

    text: str
    tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()


class Finished(_OfRequest):
    """The end of an answer: the last event of its request."""

    finish: Finish


class Vectors(_OfRequest):
    """Answers an Embed or a Rank. `width`: numbers in a row. `tokens`: of all texts."""

    data: bytes
    """float32, row after row."""
    width: int
    tokens: int


class TokenIds(_OfRequest):
    """The answer to a Tokenize."""

    tokens: list[int]


class Size(_OfRequest):
    """The answer to a Measure."""

    tokens: int


class PlainText(_OfRequest):
    """The answer to a Detokenize."""

    text: str


class Failed(_OfRequest):
    """The end of a request with an error."""

    message: str
    fault: Fault = "engine"
    field: str = ""
    """As in BadRequest."""
    tokens: int = 0
    limit: int = 0
    """As in PromptTooLong."""


def failure(request: int, error: Exception) -> Failed:
    """The event for a `request` that ended in `error`."""
    if isinstance(error, PromptTooLong):
        return Failed(request, str(error), "length", error.field, error.tokens, error.limit)
    if isinstance(error, BadRequest):
        return Failed(request, str(error), "request", error.field)
    return Failed(request, reason(error))


def reason(error: Exception) -> str:
    """The client's message for an error that the engine survives."""
    if isinstance(error, MemoryError):
        return "the engine ran out of memory"
    return str(error) if isinstance(error, PunaError) else f"{type(error).__name__}: {error}"


EngineAnswer = Started | AnswerText | Finished | Vectors | TokenIds | Size | PlainText | Failed
"""An Event of one request."""

Event = Loading | Loaded | LoadRefused | Pong | Starved | EngineAnswer

HEADER = 4


def frame(payload: bytes) -> bytes:
    """`payload` with its length in front."""
    return len(payload).to_bytes(HEADER, "little") + payload
