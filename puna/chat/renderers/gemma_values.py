"""Values in Gemma's notation: like JSON, with sorted keys, and strings between special marks."""

from __future__ import annotations

from typing import Any

from .tool_json import compact


def by_name(given: dict[str, Any]) -> list[tuple[str, Any]]:
    """The items in the order of Jinja's `dictsort`."""
    return sorted(given.items(), key=lambda item: item[0].lower())


def gemma_text(value: Any, mark: str, *, mark_keys: bool = False) -> str:
    """`{a:1,b:[<mark>text<mark>]}`."""
    if isinstance(value, str):
        return f"{mark}{value}{mark}"
    if isinstance(value, dict):
        around = mark if mark_keys else ""
        pairs = (
            f"{around}{key}{around}:{gemma_text(each, mark, mark_keys=mark_keys)}"
            for key, each in by_name(value)
        )
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(gemma_text(each, mark, mark_keys=mark_keys) for each in value) + "]"
    return compact(value)
