"""The types that several rooms share: conversations, jobs and answers of engines, progress."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from puna.load import EngineInfo
from puna.options import Options

BYTES_PER_TOKEN = 24
"""More than any real text has on average, so a longer text is too long without counting its tokens."""


class Grammar(msgspec.Struct, frozen=True):
    """The grammar that constrains the sampler, in llguidance's Lark.

    `markers` are texts that a vocabulary may have as single tokens. For each the engine defines
    `marker_0` (the first marker), `until_0` (any text that ends with it), `through_0` (the same, where the
    other markers are text too), `until_0_name` (a text of the source's terminal NAME, then the marker),
    `text` and `anything`.
    """

    source: str
    markers: tuple[str, ...] = ()
    schema: str = ""
    """The rule of the content's schema; the other rules belong to tools."""
    strict: bool = True
    """If the grammar cannot continue, the answer fails; otherwise it continues without the grammar."""


class Image(msgspec.Struct, frozen=True, tag=True):
    """A decoded image: `rgb` is height x width x 3 bytes, row by row from the top."""

    width: int
    height: int
    rgb: bytes


class Sound(msgspec.Struct, frozen=True, tag=True):
    """A 16-bit mono WAV file of `seconds` seconds."""

    file: bytes
    seconds: float


class Turn(msgspec.Struct, frozen=True):
    """The user and priority of a request, which decide its place in the queue."""

    user: str = ""
    priority: int = 0
    """Lower is earlier (vLLM, `priority`). A request above 0 waits until none at 0 waits."""


class Job(msgspec.Struct, kw_only=True):
    """One text generation. `prompt` is text (special tokens in it are recognised) or token ids."""

    prompt: str | list[int]
    options: Options
    grammar: Grammar | None = None
    add_bos: bool = True
    """Put the model's begin token before a text prompt that does not begin with it."""
    truncate: bool = True
    """Cut the middle out of a prompt longer than the context instead of refusing it."""
    shift: bool = True
    """Drop the older half when the context fills during generation instead of stopping."""
    visible: tuple[str, ...] = ()
    """Control tokens, as text, that appear in the answer; others are hidden."""
    logprobs: int | None = None
    """How many top log-probabilities to report for each token, beside the drawn one; None for no report."""
    echo: bool = False
    """Also report the tokens of the prompt (without media) and the one that ends the answer. The prefix cache
    is not used."""
    silent: bool = False
    """Only evaluate the prompt: the answer is empty."""
    bias: dict[int, float] = {}
    """Added to the logits of these tokens."""
    owner: str = ""
    """Only jobs of the same owner share prefixes, so that timing reveals nothing to others."""
    turn: Turn = Turn()
    media: tuple[Image | Sound, ...] = ()
    """One for each MEDIA_MARKER in a text prompt, in order."""


class TokenLogprob(msgspec.Struct, frozen=True):
    """A token's text and bytes, the natural logarithm of its probability before any sampling option, and the
    likeliest tokens in its place, best first."""

    token: str
    logprob: float
    bytes: list[int]
    top: list[TokenLogprob] = []


class Begun(msgspec.Struct, frozen=True, tag=True):
    """Sent before the prompt is evaluated, or after that if its tokens are reported."""

    prompt_tokens: int
    """Tokens of the prompt, including cached ones."""
    cached_tokens: int
    """Tokens of the prompt found in the KV cache."""
    read: tuple[TokenLogprob, ...] = ()
    """The prompt's tokens, if reported. The first one has probability 1, because nothing precedes it. An
    added begin token has no bytes."""


class Delta(msgspec.Struct, frozen=True, tag=True):
    """A piece of the answer: whole UTF-8 characters, never part of a stop string.

    `text` may be empty when there are `logprobs`: of the tokens since the last piece.
    """

    text: str
    tokens: int
    """Tokens since the last piece, including this one's."""
    logprobs: tuple[TokenLogprob, ...] = ()


Ended = Literal["stop", "length", "repetition"]
"""Why an answer ended: by itself, at a limit, or because it only repeated one token."""


class Finish(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The end of an answer. Durations in nanoseconds."""

    reason: Ended
    prompt_tokens: int = 0
    """Tokens of the prompt, including cached ones."""
    cached_tokens: int = 0
    """Tokens of the prompt found in the KV cache, and so not evaluated."""
    prompt_ns: int = 0
    eval_tokens: int = 0
    eval_ns: int = 0
    tokens: list[int] = []
    """Prompt and answer as token ids: Ollama's `context`."""
    stop: str = ""
    """The stop string that ended the answer."""
    encoded: int = 0
    """Images and sounds that were encoded; others were in the encoder cache."""
    truncated: bool = False
    """The middle of the prompt was cut out because it did not fit in the context."""
    drafted: int = 0
    """Drafted tokens that were evaluated."""
    accepted: int = 0
    """Those of them that were accepted."""


Texts = Sequence[str | list[int]]
"""Texts, or token ids that the model gets unchanged."""


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """One L2-normalised vector for each text, in order."""

    vectors: list[list[float]]
    tokens: int
    """Tokens of all texts after truncation."""


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """How well each document answers the query, in order, 0 to 1."""

    scores: list[float]
    tokens: int
    """Tokens of all pairs of query and document after truncation."""


class Engine(Protocol):
    """A loaded model. Closing an answer's iterator early cancels it within one step."""

    info: EngineInfo

    def generate(self, job: Job) -> AsyncGenerator[Begun | Delta | Finish, None]:
        """Stream an answer: Begun, any number of Delta, then one Finish. Raises BadRequest, EngineGone."""
        ...

    async def embed(
        self, texts: Texts, *, truncate: bool, limit: int = 0, normalize: bool = True
    ) -> Embeddings:
        """Vectors for `texts`, each of at most `limit` tokens; 0 is the context's length.

        They have length 1, unless `normalize` is false.

        Raises BadRequest when a text is too long and `truncate` is false, or when truncation would leave
        nothing; and for an id that is no token, naming `texts[i][j]`.
        """
        ...

    async def rank(self, query: str, documents: list[str], *, truncate: bool) -> Ranking:
        """How well `documents` answer. Raises BadRequest when one is too long and `truncate` is false."""
        ...

    async def tokenize(self, text: str, *, add_bos: bool = True) -> list[int]: ...

    async def measure(self, medium: Image | Sound) -> int:
        """Tokens of a picture or a sound in a prompt; its data may be missing. Raises BadRequest."""
        ...

    async def detokenize(self, tokens: list[int]) -> str:
        """The text, including special tokens. Raises BadRequest naming `tokens[i]` for an invalid id."""
        ...

    @property
    def alive(self) -> bool: ...

    @property
    def exhausted(self) -> bool:
        """Whether the engine ended because memory was full."""
        ...

    async def close(self) -> None:
        """End the engine and return all its memory; requests still on it get EngineGone."""
        ...


class MediaFile(msgspec.Struct, frozen=True):
    """The file of a picture or a sound."""

    data: bytes
    field: str = "images"
    """The request's field that it came in; empty for a file of a model's own messages."""


class Message(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One turn of a conversation (Ollama api/types.go, `Message`)."""

    role: str
    content: str = ""
    thinking: str = ""
    images: list[MediaFile] = msgspec.field(default_factory=list)
    """Pictures and sounds."""
    tool_calls: list[dict[str, Any]] = msgspec.field(default_factory=list)
    tool_name: str = ""
    tool_call_id: str = ""


class Progress(msgspec.Struct, omit_defaults=True):
    """One line of a pull's progress (Ollama api.md, Pull a Model). Sizes in bytes."""

    status: str
    digest: str = ""
    total: int = 0
    completed: int = 0


Report = Callable[[Progress], None]
"""Called from any thread with each step of long work."""
