"""The types that cross rooms: options, and what an engine is asked and answers."""

from __future__ import annotations

import math
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Literal, Protocol, get_args

import msgspec

from puna.errors import BadRequest

KVCacheType = Literal["f16", "bf16", "f32", "q8_0", "q4_0"]
"""What the numbers of a KV cache are stored as (ggml.h, `ggml_type`)."""


def kv_cache_type(text: str) -> KVCacheType:
    """The KV cache type that `text` names, in either case. Raises ValueError with the list of them."""
    known: tuple[KVCacheType, ...] = get_args(KVCacheType)
    for one in known:
        if one == text.lower():
            return one
    raise ValueError(f"must be one of {', '.join(known)}")


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Model options with Ollama's names and defaults (Ollama api/types.go, `Options` and `Runner`).

    `num_ctx` 0 means "not asked for": scheduling then chooses. Negative `seed` means random,
    negative `num_predict` unlimited (-1) or "until the context is full" (-2).
    """

    num_ctx: int = 0
    num_batch: int = 512
    num_gpu: int = -1
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] = ()
    n_cpu_moe: int = 0
    override_tensor: tuple[str, ...] = ()
    use_mmap: bool | None = None
    num_thread: int = 0
    kv_cache_type: KVCacheType | None = None
    """Puna's own: None leaves it to the server's setting."""
    draft_num_predict: int | None = None
    """Most tokens of a draft, none at 0 or less; None leaves it to what pays."""

    num_keep: int = 4
    seed: int = -1
    num_predict: int = -1
    top_k: int = 40
    top_p: float = 0.9
    min_p: float = 0.0
    typical_p: float = 1.0
    repeat_last_n: int = 64
    temperature: float = 0.8
    repeat_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    mirostat: int = 0
    mirostat_tau: float = 5.0
    mirostat_eta: float = 0.1
    stop: tuple[str, ...] = ()

    def merged(self, given: dict[str, Any]) -> tuple[Options, list[str]]:
        """These options with `given` laid over them, and the names in `given` that are no option.

        Raises BadRequest naming the option when a value has the wrong type. None leaves a default.
        """
        known: dict[str, Any] = {}
        unknown: list[str] = []
        for name, value in given.items():
            kind = _OPTION_KINDS.get(name)
            if kind is None:
                unknown.append(name)
            elif value is not None:
                known[name] = _coerce(name, kind, value)
        return msgspec.structs.replace(self, **known), unknown


_INT64 = 1 << 63

_OptionKind = Literal["integer", "float32", "boolean", "array", "numbers", "cache type"]
_KIND_OF_ANNOTATION: dict[str, _OptionKind] = {
    "int": "integer",
    "int | None": "integer",
    "float": "float32",
    "bool | None": "boolean",
    "tuple[str, ...]": "array",
    "tuple[float, ...]": "numbers",
    "KVCacheType | None": "cache type",
}
_OPTION_KINDS: dict[str, _OptionKind] = {
    name: _KIND_OF_ANNOTATION[kind] for name, kind in Options.__annotations__.items()
}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _coerce(name: str, kind: _OptionKind, value: Any) -> Any:
    number = _is_number(value)
    if kind == "integer" and number and math.isfinite(value) and abs(value) < _INT64:
        return int(value)
    if kind == "float32" and number and math.isfinite(value):
        return float(value)
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind == "array" and isinstance(value, (list, tuple)):
        if all(isinstance(item, str) for item in value):
            return tuple(value)
        raise BadRequest(f'option "{name}" must be of an array of strings', f"options.{name}")
    if kind == "numbers" and isinstance(value, (list, tuple)) and all(map(_is_number, value)):
        return tuple(map(float, value))
    if kind == "cache type":
        try:
            return kv_cache_type(str(value))
        except ValueError as error:
            raise BadRequest(f'option "{name}" {error}', f"options.{name}") from None
    raise BadRequest(f'option "{name}" must be of type {kind}', f"options.{name}")


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """Which devices an engine may use and what goes there; none of it is on the host alone."""

    devices: tuple[str, ...] = ()
    """Their names, in the order of the layers."""
    split: tuple[int, ...] = ()
    """Layers on each, the output counted as one; those before them are on the host."""
    overrides: tuple[tuple[str, str], ...] = ()
    """Patterns of tensors' names, and the device, or "CPU", where those tensors are."""

    @property
    def layers(self) -> int:
        return sum(self.split)

    @property
    def last(self) -> str:
        """The device with the output; "" if there is none."""
        pairs = zip(self.devices, self.split, strict=True)
        return next((name for name, layers in reversed([*pairs]) if layers), "")


class LoadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine process is started with. Paths are absolute; sizes are in tokens."""

    path: str
    num_ctx: int
    """Longest sequence a request may have."""
    pool: int
    """KV cells shared by all sequences, ≥ num_ctx."""
    cache: int = 0
    """Bytes that the KV of finished sequences may take outside the pool."""
    disk: str = ""
    """Folder in which it outlives the engine; empty: it does not."""
    disk_limit: int = 0
    """Bytes that the folder may take, all models together."""
    parallel: int
    """Most sequences decoded at once."""
    embedding: bool = False
    """The model turns text into vectors, or ranks."""
    ranking: bool = False
    """The model says how well a document answers a query."""
    num_batch: int = 512
    num_thread: int = 0
    num_gpu: int = -1
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] = ()
    n_cpu_moe: int = 0
    override_tensor: tuple[str, ...] = ()
    """As the options that were asked for; `placed` is what came of them."""
    placed: Placed = Placed()
    use_mmap: bool | None = None
    kv_cache_type: KVCacheType = "f16"
    flash_attention: bool | None = None
    """None: where the model allows it."""
    adapters: tuple[str, ...] = ()
    """LoRA adapters (GGUF files) laid over the weights, each at full strength."""
    draft: str = ""
    """The GGUF file of a smaller model that guesses what this one says; empty when there is none."""
    projector: str = ""
    """The GGUF file that turns pictures and sounds into embeddings; empty when the model takes none."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU that libllama can use; sizes in bytes (ggml-backend.h, `ggml_backend_dev_props`)."""

    name: str
    """What buffers on it and settings call it: "CUDA0", "Vulkan1", "MTL0"."""
    description: str
    backend: str
    """"CUDA", "ROCm", "Vulkan", "MTL", "SYCL"."""
    shared: bool
    """Its memory is the host's: an integrated GPU's, and those of Apple's processors."""
    id: str = ""
    """Its place on the PCI bus ("0000:c1:00.0"), where that is known."""
    total: int
    free: int


class Devices(msgspec.Struct, frozen=True, kw_only=True):
    """The GPUs of this machine that models may be placed on."""

    backends: tuple[str, ...] = ()
    """What libllama was compiled with besides the CPU: "cuda", "vulkan"."""
    devices: tuple[Device, ...] = ()
    problem: str = ""
    """One sentence on why there are not more; empty if nothing is wrong."""


class EngineInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a loaded engine says of itself."""

    num_ctx: int
    """Longest sequence a request may have, in tokens, after the model's own limit was applied."""
    embedding: bool
    """The model turns text into vectors and does not generate."""
    size: int
    """Bytes of weights, KV and compute buffers."""
    size_vram: int
    devices: dict[str, int] = {}
    """Bytes of `size_vram` on each device that is used."""
    n_embd: int
    vision: bool = False
    """It takes images."""
    audio: bool = False
    """It takes sounds."""


class Grammar(msgspec.Struct, frozen=True):
    """What the sampler is held to, in llguidance's Lark.

    `markers` are texts that a vocabulary may have as a token of their own. For each the engine defines
    `marker_0` (the first marker), `until_0` (any text that ends with it), `through_0` (the same, where the
    other markers are text too) and `until_0_name` (a text of the source's terminal NAME, then the marker);
    and `text` and `anything`.
    """

    source: str
    markers: tuple[str, ...] = ()
    schema: str = ""
    """The rule that is the schema of content; the other rules are of the tools."""
    strict: bool = True
    """An answer that cannot be held to it fails; otherwise it goes on freely."""


class Image(msgspec.Struct, frozen=True, tag=True):
    """A picture ready for a projector: `rgb` is height x width x 3 bytes, row after row from the top."""

    width: int
    height: int
    rgb: bytes


class Sound(msgspec.Struct, frozen=True, tag=True):
    """A WAV file of 16 bits and one channel that is `seconds` long."""

    file: bytes
    seconds: float


class Turn(msgspec.Struct, frozen=True):
    """Who asks, and how urgently: what decides who is served next."""

    user: str = ""
    priority: int = 0
    """Lower is earlier (vLLM, `priority`). Above 0 it waits for everybody's at 0."""


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
    """Control tokens, as text, that are written out in the answer instead of standing for nothing."""
    logprobs: int | None = None
    """How many of the likeliest tokens to report for each place beside the one taken; None for no report."""
    echo: bool = False
    """Report the tokens of the prompt, which has no media, and the one that ends the answer, too. Nothing is
    taken from the KV cache."""
    silent: bool = False
    """Only read the prompt: the answer is empty."""
    bias: dict[int, float] = {}
    """Added to the logits of these tokens."""
    owner: str = ""
    """Prefixes are shared between jobs of one owner only: how long a prompt takes tells nobody else of it."""
    turn: Turn = Turn()
    media: tuple[Image | Sound, ...] = ()
    """One for each PICTURE marker in a text prompt, in order."""


class TokenLogprob(msgspec.Struct, frozen=True):
    """A token's text and bytes, the natural logarithm of its probability before any sampling option, and the
    likeliest tokens in its place, best first."""

    token: str
    logprob: float
    bytes: list[int]
    top: list[TokenLogprob] = []


class Begun(msgspec.Struct, frozen=True, tag=True):
    """The prompt is about to be evaluated; or has been, if its tokens are reported."""

    prompt_tokens: int
    """Tokens of the prompt, cached ones included."""
    cached_tokens: int
    """Tokens of the prompt found in the KV cache."""
    read: tuple[TokenLogprob, ...] = ()
    """The prompt's tokens, if they are reported. The first one's probability (1) says nothing, for nothing
    comes before it; and a begin token that was put there has no bytes."""


class Delta(msgspec.Struct, frozen=True, tag=True):
    """A piece of the answer: whole UTF-8 characters, never part of a stop string.

    `text` may be empty when there are `logprobs`: of the tokens since the last piece.
    """

    text: str
    tokens: int
    """How many tokens came since the last piece, this one's among them."""
    logprobs: tuple[TokenLogprob, ...] = ()


Ended = Literal["stop", "length", "repetition"]
"""Why an answer ended: by itself, at a limit, or because it only repeated one token."""


class Finish(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """The end of an answer. Durations in nanoseconds."""

    reason: Ended
    prompt_tokens: int
    """Tokens of the prompt, cached ones included."""
    cached_tokens: int
    """Tokens of the prompt found in the KV cache and not evaluated again."""
    prompt_ns: int
    eval_tokens: int
    eval_ns: int
    tokens: list[int]
    """Prompt and answer as token ids: Ollama's `context`."""
    stop: str = ""
    """The stop string that ended the answer."""
    encoded: int = 0
    """Pictures and sounds that the encoder ran for; the others were known."""
    truncated: bool = False
    """The middle of the prompt was cut out, because it did not fit in the context."""
    drafted: int = 0
    """Tokens that were guessed and evaluated together with the one before."""
    accepted: int = 0
    """Those of them that came."""


Texts = Sequence[str | list[int]]
"""Texts, and token ids that the model gets as they are."""


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

    async def embed(self, texts: Texts, *, truncate: bool, limit: int = 0) -> Embeddings:
        """Vectors for `texts`, each of at most `limit` tokens; 0 is the context's length.

        Raises BadRequest when a text is too long and `truncate` is false, or nothing of it would be left; and
        for an id that is no token, naming `texts[i][j]`.
        """
        ...

    async def rank(self, query: str, documents: list[str], *, truncate: bool) -> Ranking:
        """How well `documents` answer. Raises BadRequest when one is too long and `truncate` is false."""
        ...

    async def tokenize(self, text: str, *, add_bos: bool = True) -> list[int]: ...

    async def detokenize(self, tokens: list[int]) -> str:
        """Text, special tokens written out. Raises BadRequest for an id that is none, naming `tokens[i]`."""
        ...

    @property
    def alive(self) -> bool: ...

    async def close(self) -> None:
        """End the engine and return all its memory; requests still on it get EngineGone."""
        ...


class MediaFile(msgspec.Struct, frozen=True):
    """The file of a picture or a sound."""

    data: bytes
    field: str = "images"
    """The field of the request that it came in; a model's own messages have files that came in none."""


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
"""Called from any thread with each step of a long piece of work."""
