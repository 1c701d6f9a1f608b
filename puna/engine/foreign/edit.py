"""How a GGUF file has to be changed, and what is asked of it for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Value = str | np.generic | NDArray[Any]
"""A metadata value; numbers in the type they have in the file, for libllama insists on it."""

Shape = tuple[int, ...]
"""A tensor's four sizes in ggml's order, the innermost first."""


class Facts(Protocol):
    """What a file says of itself."""

    @property
    def keys(self) -> list[str]: ...

    @property
    def tensors(self) -> dict[str, Shape]: ...

    def get(self, key: str) -> Value | None: ...


@dataclass
class Edit:
    """A file that is made of another one."""

    tensors: Mapping[str, str]
    """Names in the other file by the new ones, in the order in which they are written."""
    values: dict[str, Value] = field(default_factory=dict)
    """Metadata that is new or other than it was."""
    inherits: bool = True
    """It has all metadata of the other file."""
    vocabulary: int | None = None
    """How many of the tokens stay."""
    widened: frozenset[str] = frozenset()
    """Tensors, by their new names, that become F32."""


def own(tensors: Mapping[str, Shape], *prefixes: str) -> dict[str, str]:
    """The tensors whose names begin with none of `prefixes`, named as they are."""
    return {name: name for name in tensors if not name.startswith(prefixes)}


def copied(facts: Facts, keys: Mapping[str, str]) -> dict[str, Value]:
    """The values of the file by new keys, given with the old ones; those that are not there left out."""
    found = {new: facts.get(old) for new, old in keys.items()}
    return {new: value for new, value in found.items() if value is not None}


def renamed(facts: Facts, old: str, new: str) -> dict[str, Value]:
    """All values under keys that begin with `old`, under those that begin with `new`."""
    keys = {new + key.removeprefix(old): key for key in facts.keys if key.startswith(old)}
    return copied(facts, keys)


def number(facts: Facts, key: str, default: int = 0) -> int:
    """A whole number; `default` when it is not there or something else."""
    value = facts.get(key)
    return int(value) if isinstance(value, np.integer) else default
