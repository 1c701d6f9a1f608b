"""The description of one method of one path."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from puna.server.errors import Error

JSON = "application/json"
TEXT = "text/plain"
FORM = "multipart/form-data"
NDJSON = "application/x-ndjson"
EVENTS = "text/event-stream"

REASONS = {
    400: "The request is wrong; the error names the field.",
    401: "The server asks for a key, and got none that it knows; or nobody is signed in.",
    403: "The key, or the server's settings, do not allow it.",
    404: "There is no such model.",
    409: "The file cannot be taken from where it lies; send it. Or it does not go on where it ended.",
    413: "The body is longer than 256 MB.",
    415: "The body is compressed in another way than gzip, deflate or zstd.",
    429: "The key's limit is reached; Retry-After says until when.",
    500: "The server, the model's file or its engine failed.",
    501: "There is no search engine.",
    502: "The search engine failed.",
    503: "Too many requests wait already.",
    529: "Too many requests wait already.",
}

KEYED = (401, 403, 429)
"""Error statuses for a request's key."""

STORED = (400, 404, 413, 415, 500)
"""Error statuses of requests about stored models."""

RUN = (400, 404, 413, 415, 500, 503)
"""Error statuses of requests that run a model."""


@dataclass(frozen=True)
class Operation:
    """`body`, `answer`, `event` and `error` are types of msgspec. `path` has its parameters in braces."""

    path: str
    summary: str
    body: Any = None
    answer: Any = None
    """The body of 200; None for an empty one."""
    event: Any = None
    """The data of an SSE event, if it differs from `answer`."""
    _: KW_ONLY
    method: str
    tag: str
    needs: tuple[str, ...] = ()
    """Required fields that must not be empty, although the type of `body` makes them optional."""
    takes: tuple[str, ...] = ()
    """Required fields that may be empty, although the type of `body` makes them optional."""
    body_media: str = JSON
    media: tuple[str, ...] = (JSON,)
    """The answer's media types. Each object of a stream is an `answer`."""
    created: bool = False
    """Whether it answers 201 for a new object, and 200 for an existing one."""
    refusals: tuple[int, ...] = ()
    error: Any = Error
    parameters: tuple[tuple[str, str], ...] = ()
    """Names in the path, with their patterns."""
