"""The values of `/set parameter`, read as a Modelfile's PARAMETER is (Ollama api/types.go, FormatParams)."""

from __future__ import annotations

import math
from collections.abc import Sequence

Value = int | float | bool | list[str]

_INTEGERS = frozenset(
    {
        "num_ctx",
        "num_batch",
        "num_gpu",
        "main_gpu",
        "num_thread",
        "num_keep",
        "seed",
        "num_predict",
        "top_k",
        "repeat_last_n",
        "mirostat",
    }
)
_FLOATS = frozenset(
    {
        "top_p",
        "min_p",
        "typical_p",
        "temperature",
        "repeat_penalty",
        "presence_penalty",
        "frequency_penalty",
        "mirostat_tau",
        "mirostat_eta",
    }
)
_BOOLEANS = frozenset({"use_mmap"})


def parse_parameter(name: str, values: Sequence[str]) -> Value:
    """The option `name` as the API takes it. Raises ValueError in Ollama's words."""
    if name == "stop":
        return list(values)
    if name in _INTEGERS:
        kind, read = "int", int
    elif name in _FLOATS:
        kind, read = "float", _finite
    elif name in _BOOLEANS:
        kind, read = "bool", _truth
    else:
        raise ValueError(f"unknown parameter '{name}'")
    try:
        return read(values[0])
    except ValueError:
        raise ValueError(f"invalid {kind} value [{' '.join(values)}]") from None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)  # JSON has no word for it.
    return number


def _truth(text: str) -> bool:
    if text in ("1", "t", "T", "TRUE", "true", "True"):
        return True
    if text in ("0", "f", "F", "FALSE", "false", "False"):
        return False
    raise ValueError(text)
