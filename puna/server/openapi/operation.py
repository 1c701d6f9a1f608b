"""What is said of one method of one path."""

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
    429: "The key's limit is reached; Retry-After says until when.",
    500: "The server, the model's file or its engine failed.",
    501: "There is no search engine.",
    502: "The search engine failed.",
    503: "Too many requests wait already.",
    529: "Too many requests wait already.",
}

KEYED = (401, 403, 429)
"""How a request may be refused for its key."""

STORED = (400, 404, 413, 500)
"""How a request about models at rest may be refused."""

RUN = (400, 404, 413, 500, 503)
"""How a request that needs a model in memory may be refused."""


@dataclass(frozen=True)
class Operation:
    """Types are msgspec's: structs, lists, dicts. A path's parameters are written in braces."""

    path: str
    summary: str
    body: Any = None
    answer: Any = None
    """What a body of 200 holds; None for an empty one."""
    event: Any = None
    """What an event holds where that is no `answer`."""
    _: KW_ONLY
    method: str
    tag: str
    needs: tuple[str, ...] = ()
    """Fields that the body is refused without, or with nothing in them, though its type has them optional."""
    takes: tuple[str, ...] = ()
    """Such fields that may be empty."""
    body_media: str = JSON
    media: tuple[str, ...] = (JSON,)
    """The forms the answer comes in; in a stream each object is an `answer`."""
    created: bool = False
    """It answers 201 when it made something, and 200 when that was there."""
    refusals: tuple[int, ...] = ()
    error: Any = Error
    parameters: tuple[tuple[str, str], ...] = ()
    """Names in the path and the pattern of each."""
