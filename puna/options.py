"""A model's options: names, defaults and types, and their values from JSON or from text."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args

import msgspec

from puna.errors import BadRequest

KVCacheType = Literal["f16", "bf16", "f32", "q8_0", "q4_0"]
"""The data types of a KV cache (ggml.h, `ggml_type`)."""


def kv_cache_type(text: str) -> KVCacheType:
    """The KV cache type of `text`, case-insensitive. Raises ValueError with the list of types."""
    types: tuple[KVCacheType, ...] = get_args(KVCacheType)
    for one in types:
        if one == text.lower():
            return one
    raise ValueError(f"must be one of {', '.join(types)}")


Count = Annotated[int, msgspec.Meta(ge=0)]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """Model options with Ollama's names and defaults (Ollama api/types.go, `Options` and `Runner`).

    `num_ctx` 0 is unset, and scheduling chooses it. A negative `seed` is random. `num_predict` -1 is
    unlimited, -2 "until the context is full".
    """

    num_ctx: int = 0
    num_batch: int = 512
    num_gpu: int = -1
    main_gpu: int | None = None
    tensor_split: tuple[float, ...] = ()
    n_cpu_moe: int = 0
    override_tensor: tuple[str, ...] = ()
    replicas: Count = 0
    """Puna's own: the number of engines, each on its own GPU; 0 keeps the loaded number."""
    use_mmap: bool | None = None
    num_thread: int = 0
    kv_cache_type: KVCacheType | None = None
    """Puna's own; None for the server's setting."""
    draft_num_predict: int | None = None
    """Most tokens of a draft; no drafts at 0 or less; None decides by measured gain."""

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

    def override(self, values: dict[str, Any]) -> tuple[Options, list[str]]:
        """These options, overridden by `values`, and the unknown names in `values`.

        None keeps the default. Raises BadRequest naming an option with a value of the wrong type.
        """
        overrides: dict[str, Any] = {}
        unknown: list[str] = []
        for name, value in values.items():
            kind = _OPTION_KINDS.get(name)
            if kind is None:
                unknown.append(name)
            elif value is not None:
                overrides[name] = _coerce(name, kind, value)
        return msgspec.structs.replace(self, **overrides), unknown


IGNORED = frozenset(
    {"penalize_newline", "low_vram", "f16_kv", "logits_all", "vocab_only", "use_mlock"}  # deprecated
)
"""Ollama's present and former parameters without effect in Puna."""

_DIGITS = r"\d(?:_?\d)*"
_FLOAT = re.compile(rf"[+-]?({_DIGITS}\.?({_DIGITS})?|\.{_DIGITS})([eE][+-]?{_DIGITS})?", re.ASCII)
_INT64 = 1 << 63

_OptionKind = Literal["integer", "count", "float32", "boolean", "array", "numbers", "cache type"]
_KIND_OF_ANNOTATION: dict[str, _OptionKind] = {
    "int": "integer",
    "int | None": "integer",
    "Count": "count",
    "float": "float32",
    "bool | None": "boolean",
    "tuple[str, ...]": "array",
    "tuple[float, ...]": "numbers",
    "KVCacheType | None": "cache type",
}
_OPTION_KINDS: dict[str, _OptionKind] = {
    name: _KIND_OF_ANNOTATION[kind] for name, kind in Options.__annotations__.items()
}


def parameter(name: str, text: str) -> int | float | bool | str | list[str] | list[float]:
    """The value of a parameter from its text; a list of one for parameters that may be repeated.

    Raises BadRequest with Ollama's wording (api/types.go, FormatParams).
    """
    kind = _OPTION_KINDS.get(name)
    if kind is None:
        raise BadRequest(f"unknown parameter '{name}'")
    if kind == "cache type":
        try:
            return kv_cache_type(text)
        except ValueError as error:
            raise BadRequest(f"parameter '{name}' {error}") from None
    word, read = _READERS[kind]
    try:
        return read(text)
    except (ValueError, OverflowError):
        raise BadRequest(f"invalid {word} value [{text}]") from None


def _is_number(value: Any) -> bool:
    """Whether a value is a number that a float can hold."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    return isinstance(value, float) or abs(value) <= sys.float_info.max


def _coerce(name: str, kind: _OptionKind, value: Any) -> Any:
    number = _is_number(value)
    if kind == "integer" and number and math.isfinite(value) and abs(value) < _INT64:
        return int(value)
    if kind == "count" and number and 0 <= value < _INT64:
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
    expected = "of type integer, 0 or more" if kind == "count" else f"of type {kind}"
    raise BadRequest(f'option "{name}" must be {expected}', f"options.{name}")


def _integer(text: str) -> int:
    if not re.fullmatch(r"[+-]?[0-9]+", text) or not -_INT64 <= int(text) < _INT64:
        raise ValueError(text)
    return int(text)


def _number(text: str) -> float:
    # The range of a float32: JSON cannot express infinity.
    if not _FLOAT.fullmatch(text) or abs(float(text)) > 3.4e38:
        raise ValueError(text)
    return float(text)


def _boolean(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(text)


_READERS: dict[str, tuple[str, Callable[[str], int | float | bool | list[str] | list[float]]]] = {
    "integer": ("int", _integer),
    "count": ("int", _integer),
    "float32": ("float", _number),
    "boolean": ("bool", _boolean),
    "array": ("string", lambda text: [text]),
    # llama.cpp's format of --tensor-split: 3,1.
    "numbers": ("float", lambda text: [_number(part) for part in text.split(",")]),
}
