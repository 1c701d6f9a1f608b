"""Server-Sent Events that have names."""

from __future__ import annotations

import json
from typing import Any


def named_events(text: str) -> list[dict[str, Any]]:
    """The events of a stream, each named as its data is."""
    *frames, nothing = text.split("\n\n")
    assert nothing == ""
    found: list[dict[str, Any]] = []
    for frame in frames:
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found
