"""What goes over the pipe between the server and an engine process: msgpack frames, length first.

A frame is a 4-byte little-endian length and a msgpack value: one Command towards the engine,
a list of Events (all of one step) towards the server.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from puna.errors import BadRequest, PromptTooLong, PunaError
from puna.load import EngineInfo
from puna.types import Begun, Finish, Job, TokenLogprob

Fault = Literal["request", "length", "engine", "gone"]
"""The cause of a failed answer: a wrong request, one that is too long, an error in the engine, or its end."""


class _OfRequest(msgspec.Struct, tag=True, array_like=True):
    request: int
    """Its number: the same in a command and in the events that answer it."""


class Generate(_OfRequest):
    job: Job


class Embed(_OfRequest):
    texts: list[str | list[int]]
    truncate: bool
    limit: int


class Rank(_OfRequest):
    query: str
    documents: list[str]
    truncate: bool


class Tokenize(_OfRequest):
    text: str
    add_bos: bool


class Detokenize(_OfRequest):
    tokens: list[int]


class Cancel(_OfRequest):
    """The server no longer wants the answer."""


class Ping(msgspec.Struct, tag=True, array_like=True):
    """Answered by a Pong between two steps."""


Command = Generate | Embed | Rank | Tokenize | Detokenize | Cancel


class Pong(msgspec.Struct, tag=True, array_like=True):
    longest: float
    """Most seconds that a step takes, as far as is known."""


class Loaded(msgspec.Struct, tag=True, array_like=True):
    info: EngineInfo
    longest: float
    """As in a Pong."""


class LoadRefused(msgspec.Struct, tag=True, array_like=True):
    """The model could not be loaded; the process ends."""

    message: str
    on_device: bool = False
    """It was to be on a GPU."""


class Starved(msgspec.Struct, tag=True, array_like=True):
    """An allocation failed. If the engine ends now, that is why."""


class Started(_OfRequest):
    begun: Begun


class AnswerText(_OfRequest):
    text: str
    tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()


class Finished(_OfRequest):
    finish: Finish


class Vectors(_OfRequest):
    data: bytes
    """float32, row after row."""
    width: int
    tokens: int


class TokenIds(_OfRequest):
    tokens: list[int]


class PlainText(_OfRequest):
    text: str


class Failed(_OfRequest):
    message: str
    fault: Fault = "engine"
    field: str = ""
    """The request's wrong field, as in BadRequest."""


def failed(request: int, error: Exception) -> Failed:
    """The event for a `request` that ended in `error`."""
    if isinstance(error, BadRequest):
        fault: Fault = "length" if isinstance(error, PromptTooLong) else "request"
        return Failed(request, str(error), fault, error.field)
    return Failed(request, reason(error))


def reason(error: Exception) -> str:
    """The client's message for an error that the engine survives."""
    if isinstance(error, MemoryError):
        return "the engine ran out of memory"
    return str(error) if isinstance(error, PunaError) else f"{type(error).__name__}: {error}"


EngineAnswer = Started | AnswerText | Finished | Vectors | TokenIds | PlainText | Failed
"""An Event of one request."""

Event = Loaded | LoadRefused | Pong | Starved | EngineAnswer

HEADER = 4


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(HEADER, "little") + payload
