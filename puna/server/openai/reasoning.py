"""Whether, and how much, a model reasons: OpenAI's words for it, and those of other servers."""

from __future__ import annotations

from typing import Any

from puna.errors import BadRequest
from puna.inference import Think

_EFFORTS: dict[str, Think] = {
    "none": False,
    "minimal": "low",
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": "max",
    "ultra": "max",
    "max": "max",
}
"""reasoning_effort by Ollama's levels (openai/openai.go, thinkFromReasoningEffort)."""
_KINDS = {"enabled": True, "disabled": False}
"""`type` of `thinking`."""


def think(param: str, effort: str | None) -> Think:
    """`think` for an effort in OpenAI's or Ollama's words. Raises BadRequest for any other."""
    if not effort:
        return None
    if effort not in _EFFORTS:
        message = f'invalid reasoning value: "{effort}" (must be one of {", ".join(_EFFORTS)})'
        raise BadRequest(message, param)
    return _EFFORTS[effort]


def switch(given: Any) -> Think:
    """`think` for a field that another server has: a boolean, an effort, or `{"type": "disabled"}`.

    None for anything else, which has no effect.
    """
    if isinstance(given, dict):
        given = _KINDS.get(str(given.get("type")))
    return given if isinstance(given, bool) else _EFFORTS.get(given) if isinstance(given, str) else None
