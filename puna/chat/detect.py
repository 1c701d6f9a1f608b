"""Detects a model's family, and the capabilities that its template shows."""

from __future__ import annotations

import re
from functools import lru_cache

from puna.chat.gotemplate import FUNCTIONS, names, parse
from puna.errors import BadRequest

from .families import FAMILIES, family_named
from .family import Family
from .generic import generic, learn_format

_EVIDENCE = sorted(
    ((evidence, family) for family in FAMILIES for evidence in family.evidence),
    key=lambda one: (one[0].rank, -len(one[0].texts)),
)
"""The strongest evidence first. Among equal ranks, evidence with more texts comes first."""

_ALWAYS = {family.format.reasoning for family in FAMILIES if family.always_thinks}
# Weak evidence, because other models' templates have them, too.
_REASONS = {family.format.reasoning for family in FAMILIES} - {"", "<think>"} | {
    "enable_thinking",
    "reasoning_effort",
    "thinking_effort",
}
_JINJA_CODE = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)


# Each list of models asks for the family of every template.
@lru_cache(maxsize=1024)
def family_of(name: str, template: str, architecture: str) -> Family:
    """The family of a model: by its PARSER or RENDERER, its architecture, or evidence in its chat template.

    Without any of these, the format is learned from the template. `template` is Jinja or Go; `architecture`
    is the GGUF's `general.architecture`.
    """
    if found := family_named(name):
        return found[0]
    for family in FAMILIES:
        if architecture in family.architectures:
            return family
    for evidence, family in _EVIDENCE:
        if all(text in template for text in evidence.texts):
            return family
    return generic(template)


def can_call_tools(template: str) -> bool:
    """Whether the template renders tools."""
    if (go := _go_names(template)) is not None:
        return "tools" in go
    return any(re.search(r"\b(tools|tool_calls?)\b", code) for code in _JINJA_CODE.findall(template))


def can_think(template: str) -> bool:
    """Whether the template separates reasoning from the answer, or can enable it."""
    if any(text in template for text in _ALWAYS):
        return True
    if (go := _go_names(template)) is not None:
        return bool(go & {"think", "thinklevel", "isthinkset"}) or all(learn_format(template).tags)
    if any(text in template for text in _REASONS):
        return True
    return "</think>" in template and (
        "<think>" in template or "split('</think>')" in template.replace('"', "'")
    )


def _go_names(template: str) -> frozenset[str] | None:
    """The names that a Go template reads, in lower case; None for a Jinja template."""
    if "{%" in template or "{#" in template:
        return None
    try:
        trees = parse(template, FUNCTIONS)
    except (BadRequest, RecursionError):
        return None
    return frozenset(name.lower() for tree in trees.values() for name in names(tree))
