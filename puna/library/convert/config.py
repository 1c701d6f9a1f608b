"""The JSON files of a checkpoint. Errors about a missing or invalid value name its file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from puna.errors import BadRequest

_MAX_FILE = 256 << 20  # bytes; the largest tokenizers are 35 MB
_LARGEST = (2 - 2**-23) * 2.0**127  # of F32, which GGUF stores


class Config:
    """A JSON object of `file`. Null counts as absent; of several names the first present one is used."""

    def __init__(self, values: dict[str, Any], file: str) -> None:
        self.values, self.file = values, file

    def get(self, *names: str) -> Any:
        return next((self.values[name] for name in names if self.values.get(name) is not None), None)

    def integer(self, *names: str, default: int | None = None, least: int = 1, most: int = 2**31 - 1) -> int:
        """Raises BadRequest when it is missing without a default, or is no integer in range."""
        value = self._value(names, default)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if type(value) is not int or not least <= value <= most:
            raise self.error(self._present_name(names), f"is no whole number from {least} to {most}")
        return value

    def number(self, *names: str, default: float | None = None) -> float:
        """Raises BadRequest when it is missing without a default, or is no number that F32 can hold."""
        value = self._value(names, default)
        if not _is_number(value):
            raise self.error(self._present_name(names), "is no number")
        return float(value)

    def numbers(self, *names: str) -> list[float]:
        """An array of numbers that F32 can hold; empty when it is missing."""
        value = self.get(*names)
        if value is None:
            return []
        if not isinstance(value, list) or not all(map(_is_number, value)):
            raise self.error(self._present_name(names), "is no array of numbers")
        return [float(item) for item in value]

    def string(self, *names: str, default: str = "") -> str:
        value = self._value(names, default)
        if not isinstance(value, str):
            raise self.error(self._present_name(names), "is no string")
        return value

    def section(self, *names: str) -> Config:
        """The object of this name; an empty one when it is missing."""
        value = self.get(*names)
        if value is not None and not isinstance(value, dict):
            raise self.error(self._present_name(names), "is no object")
        return Config(value or {}, self.file)

    def with_defaults(self, other: Config) -> Config:
        """These values, with missing ones from `other`."""
        return Config({**other.values, **self.values}, self.file)

    def error(self, name: str, what: str) -> BadRequest:
        return BadRequest(f"{self.file}: {name} {what}")

    def _present_name(self, names: tuple[str, ...]) -> str:
        return next((name for name in names if self.values.get(name) is not None), names[0])

    def _value(self, names: tuple[str, ...], default: Any) -> Any:
        value = self.get(*names)
        if value is None:
            value = default
        if value is None:
            raise BadRequest(f"{self.file} has no {names[0]}")
        return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and -_LARGEST <= value <= _LARGEST


def read_json(path: Path) -> Any:
    """The JSON in `path`. Raises BadRequest naming the file."""
    try:
        if path.stat().st_size > _MAX_FILE:
            raise BadRequest(f"cannot read {path.name}: it is too large")
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadRequest(f"cannot read {path.name}: {reason}") from None


def read_config(path: Path) -> Config:
    """The JSON object in `path`. Raises BadRequest naming the file."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise BadRequest(f"cannot read {path.name}: not an object")
    return Config(value, path.name)
