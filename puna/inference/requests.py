"""Inference's inputs and outputs, the same for every dialect."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from typing import Any, Literal

import msgspec

from puna.errors import BadRequest
from puna.types import Begun, Finish, MediaFile, Message, Texts, TokenLogprob

ToolMode = Literal["auto", "none", "required"]
"""Whether an answer may, must not, or must call tools."""

Think = bool | Literal["low", "medium", "high", "max"] | None

_PRIORITIES = {"interactive": 0, "batch": 1}
_LEAST_URGENT = 1 << 31


class ModelInput(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of every request to a model."""

    model: str
    """The name as the client wrote it; errors and answers repeat it."""
    options: dict[str, Any] = {}
    """These override the model's own parameters."""
    keep_alive: float | None = None
    """Seconds the model stays loaded after the answer; None takes the server's setting."""
    priority: int = 0
    """Lower is served earlier; above 0 only after all users' requests at 0."""


class _TextInput(ModelInput, frozen=True, kw_only=True):
    schema: dict[str, Any] | None = None
    """JSON Schema that the content must fit."""
    think: Think = None
    """Whether, or how much, to think; None lets a capable model think."""
    think_if_able: bool = False
    """`think` is ignored by a model that cannot think."""
    truncate: bool = True
    shift: bool = True
    logprobs: int | None = None
    """How many likeliest tokens to report for each token of the answer, 0 to 20; None for no report."""
    bias: dict[int, float] = {}
    """Added to the logits of these tokens, by id."""


class ChatInput(_TextInput, frozen=True, kw_only=True):
    """The next message of a conversation."""

    messages: list[Message]
    tools: list[dict[str, Any]] = []
    """In the API's shape: `{"type": "function", "function": {"name", "description", "parameters"}}`."""
    tool_choice: ToolMode = "auto"
    tool_name: str = ""
    """With "required": the one tool to call."""
    parallel_calls: bool = True
    """The answer may hold more than one call."""

    @property
    def empty(self) -> bool:
        """No answer is requested."""
        return not self.messages

    @property
    def offered(self) -> list[dict[str, Any]]:
        """The tools in the prompt."""
        return [] if self.tool_choice == "none" else self.tools


class GenerateInput(_TextInput, frozen=True, kw_only=True):
    """The answer to one prompt."""

    prompt: str = ""
    suffix: str = ""
    """Text after the answer (fill-in-the-middle)."""
    system: str = ""
    template: str = ""
    """A Go template in place of the model's own."""
    context: list[int] | None = None
    """Token ids of an earlier answer, put before this prompt."""
    raw: bool = False
    """The prompt goes to the model as it is, without a template."""
    tokens: list[int] | None = None
    """With `raw`: the prompt's token ids; the engine adds no begin token."""
    echo: bool = False
    """With `raw`: report the prompt's tokens in Begun, in the form that `logprobs` gives to the answer's."""
    silent: bool = False
    """Only evaluate the prompt: the answer is empty."""
    images: list[MediaFile] = []

    @property
    def empty(self) -> bool:
        """There is nothing to answer."""
        return not (self.prompt or self.tokens)


class EmbedInput(ModelInput, frozen=True, kw_only=True):
    """Vectors for texts. No texts loads the model."""

    texts: Texts
    truncate: bool = True
    dimensions: int = 0
    """Truncate vectors to this length and normalise them again; 0: do not."""
    legacy: bool = False
    """Asked by /api/embeddings, which does not normalise every model's vectors."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A complete tool call."""

    id: str
    index: int
    """Its index among the answer's calls."""
    name: str
    arguments: dict[str, Any]


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of the answer: text, reasoning and calls; each may be empty."""

    text: str = ""
    thinking: str = ""
    calls: tuple[Call, ...] = ()
    logprobs: tuple[TokenLogprob, ...] = ()


def joined(pieces: Iterable[Piece]) -> Piece:
    """One piece of all that `pieces` have."""
    pieces = list(pieces)
    return Piece(
        text="".join(piece.text for piece in pieces),
        thinking="".join(piece.thinking for piece in pieces),
        calls=tuple(call for piece in pieces for call in piece.calls),
        logprobs=tuple(token for piece in pieces for token in piece.logprobs),
    )


class Rendered(msgspec.Struct, frozen=True):
    """A prompt as text."""

    prompt: str
    images: int


class Summary(Finish, frozen=True, kw_only=True):
    """The end of an answer: the engine's Finish, and more. Durations in nanoseconds."""

    total_ns: int = 0
    load_ns: int = 0
    reasoning_tokens: int = 0
    """Part of `eval_tokens`."""

    @property
    def cut(self) -> bool:
        """The answer is incomplete."""
        return self.reason in ("length", "repetition")


AnswerEvent = Begun | Piece | Summary
Answer = AsyncGenerator[AnswerEvent, None]
"""Begun, any number of Piece, then one Summary. Closing it early cancels the answer within one step."""


class Embedded(msgspec.Struct, frozen=True, kw_only=True):
    """One vector for each text, in order. Durations in nanoseconds."""

    vectors: list[list[float]]
    tokens: int = 0
    total_ns: int = 0
    load_ns: int = 0


def schema(format: Any) -> dict[str, Any] | None:
    """The JSON Schema of a decoded `format`: None without one, that of an object for "json", or itself.

    Raises BadRequest for anything else.
    """
    if format is None or format == "":
        return None
    if format == "json":
        return {"type": "object"}
    if isinstance(format, dict):
        return format
    raise BadRequest('invalid format: expected "json" or a JSON schema')


def priority(given: int | str | None, tier: str | None = None) -> int:
    """A request's priority: a number (vLLM), "interactive" (0), "batch" (1), or OpenAI's tier "flex" (1).

    Raises BadRequest for another word.
    """
    if given is None:
        return 1 if tier == "flex" else 0
    if isinstance(given, str):
        if given not in _PRIORITIES:
            known = ", ".join(_PRIORITIES)
            raise BadRequest(f"priority must be a whole number, or one of {known}", "priority")
        return _PRIORITIES[given]
    return max(-_LEAST_URGENT, min(given, _LEAST_URGENT))
