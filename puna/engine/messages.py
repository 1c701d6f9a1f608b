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
"""Whose it is that an answer failed: the request's, for one reason or for being too long; or the engine's,
which goes on or is gone."""


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
    """The server waits for no more of the answer."""


class Ping(msgspec.Struct, tag=True, array_like=True):
    """Answered by a Pong between two steps."""


Command = Generate | Embed | Rank | Tokenize | Detokenize | Cancel


class Pong(msgspec.Struct, tag=True, array_like=True):
    longest: float
    """Seconds that a step takes at most, as far as it is known."""


class Loaded(msgspec.Struct, tag=True, array_like=True):
    info: EngineInfo
    longest: float
    """As a Pong has it."""


class LoadRefused(msgspec.Struct, tag=True, array_like=True):
    """The model could not be loaded; the process ends."""

    message: str
    on_device: bool = False
    """It was to be on a GPU."""


class Starved(msgspec.Struct, tag=True, array_like=True):
    """Memory was asked for and not found; if the engine ends now, that is why."""


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
    """What of the request is wrong, as BadRequest has it."""


def failed(request: int, error: Exception) -> Failed:
    """What tells that `request` ended in `error`."""
    if isinstance(error, BadRequest):
        fault: Fault = "length" if isinstance(error, PromptTooLong) else "request"
        return Failed(request, str(error), fault, error.field)
    return Failed(request, reason(error))


def reason(error: Exception) -> str:
    """What whoever asked is told of an error that the engine survives."""
    if isinstance(error, MemoryError):
        return "the engine ran out of memory"
    return str(error) if isinstance(error, PunaError) else f"{type(error).__name__}: {error}"


EngineAnswer = Started | AnswerText | Finished | Vectors | TokenIds | PlainText | Failed
"""An Event of one request."""

Event = Loaded | LoadRefused | Pong | Starved | EngineAnswer

HEADER = 4


def frame(payload: bytes) -> bytes:
    return len(payload).to_bytes(HEADER, "little") + payload
