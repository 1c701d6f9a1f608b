"""JSON in the forms that the families use."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any


def spaced(value: Any) -> str:
    """`{"a": 1, "b": [2, 3]}`, as `tojson` in a Hugging Face chat template."""
    return json.dumps(value, ensure_ascii=False)


def compact(value: Any) -> str:
    """`{"a":1,"b":[2,3]}`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def bare(value: Any, json: Callable[[Any], str] = compact) -> str:
    """Text unchanged, other values as JSON."""
    return value if isinstance(value, str) else json(value)


def by_name(value: Any) -> Any:
    """`value` with every object's keys sorted."""
    if isinstance(value, dict):
        return {key: by_name(value[key]) for key in sorted(value)}
    return [by_name(each) for each in value] if isinstance(value, list) else value
