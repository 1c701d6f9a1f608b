"""JSON as the families print it."""

from __future__ import annotations

import json
from typing import Any


def spaced(value: Any) -> str:
    """`{"a": 1, "b": [2, 3]}`: what `tojson` is in a Hugging Face chat template."""
    return json.dumps(value, ensure_ascii=False)


def compact(value: Any) -> str:
    """`{"a":1,"b":[2,3]}`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def bare(value: Any) -> str:
    """Text as it is, anything else as compact JSON."""
    return value if isinstance(value, str) else compact(value)
