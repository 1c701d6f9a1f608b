"""What inference is asked and what it answers, whichever API the question came through."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from puna.types import BadRequest, Grammar, Message

Think = bool | Literal["low", "medium", "high", "max"] | None


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    model: str
    """The name as the person wrote it; errors and answers repeat it."""
    options: dict[str, Any] = {}
    """Laid over the model's own parameters."""
    keep_alive: float | None = None
    """Seconds the model stays loaded after the answer; None takes the server's setting."""


class _TextRequest(_Request, frozen=True, kw_only=True):
    grammar: Grammar | None = None
    think: Think = None
    truncate: bool = True
    shift: bool = True


class ChatRequest(_TextRequest, frozen=True, kw_only=True):
    """The next message of a conversation. No messages loads the model, or unloads it with `keep_alive` 0."""

    messages: list[Message]
    tools: list[dict[str, Any]] = []


class GenerateRequest(_TextRequest, frozen=True, kw_only=True):
    """The answer to one prompt. An empty prompt loads the model, or unloads it with `keep_alive` 0."""

    prompt: str = ""
    suffix: str = ""
    """Text after the answer: the model fills in the middle."""
    system: str = ""
    template: str = ""
    """A Go template in place of the model's own."""
    context: list[int] | None = None
    """Token ids of an earlier answer, put before this prompt."""
    raw: bool = False
    """The prompt goes to the model as it is, without a template."""
    images: list[bytes] = []


class EmbedRequest(_Request, frozen=True, kw_only=True):
    """Vectors for texts. No texts loads the model."""

    texts: list[str]
    truncate: bool = True
    dimensions: int = 0
    """Length the vectors are cut to and normalised again; 0 leaves them whole."""


class Piece(msgspec.Struct, frozen=True):
    """Some more text of the answer."""

    text: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The end of an answer. Durations in nanoseconds."""

    reason: Literal["stop", "length", "load", "unload"]
    total_ns: int = 0
    load_ns: int = 0
    prompt_tokens: int = 0
    prompt_ns: int = 0
    eval_tokens: int = 0
    eval_ns: int = 0
    context: list[int] = []
    """Prompt and answer as token ids; empty after a raw prompt."""


class Embedded(msgspec.Struct, frozen=True, kw_only=True):
    """One vector for each text, in order. Durations in nanoseconds."""

    vectors: list[list[float]]
    tokens: int = 0
    total_ns: int = 0
    load_ns: int = 0


def grammar(wanted: Any) -> Grammar | None:
    """What the sampler is held to for a decoded `format`: nothing, "json", or a JSON Schema object.

    Raises BadRequest for anything else.
    """
    if wanted is None or wanted == "":
        return None
    if wanted == "json":
        return Grammar("json")
    if isinstance(wanted, dict):
        return Grammar("schema", msgspec.json.encode(wanted).decode())
    raise BadRequest('invalid format: expected "json" or a JSON schema')
