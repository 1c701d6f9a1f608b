"""Chooses between a model's Jinja and Go templates (capabilities: Ollama server/images.go)."""

from __future__ import annotations

from functools import lru_cache

from .detect import can_call_tools, can_think
from .modelfile import go

_TOOL_TURNS = ("tool_response", "tool_results", "ipython", "'tool'", '"tool"')
"""Texts, in lower case, of templates that render tool results."""


@lru_cache(maxsize=4096)
def jinja_has_more_features(jinja: str, go_template: str) -> bool:
    """Whether the Jinja template has more features than the Go template, or alone renders tool results.

    A template that renders calls without results does not replace one that renders both.
    """
    reads = go(go_template).names
    ours, theirs = _abilities(jinja), _abilities(go_template) | ({"insert"} if "suffix" in reads else set())
    ours_return = "tool_call" in jinja and _shows_answers(jinja)
    theirs_return = "toolcalls" in reads and _shows_answers(go_template)
    if len(ours) > len(theirs):
        return ours_return or not theirs_return
    return ours == theirs and "tools" in ours and ours_return and not theirs_return


def _abilities(template: str) -> set[str]:
    found = {"tools": can_call_tools(template), "thinking": can_think(template)}
    return {feature for feature, has in found.items() if has}


def _shows_answers(template: str) -> bool:
    text = template.lower()
    return any(mark in text for mark in _TOOL_TURNS)
