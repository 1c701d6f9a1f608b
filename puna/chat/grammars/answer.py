"""The grammar of most answers: text, reasoning between two tags, and calls after a marker."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from puna.chat.parsing.tagged import Expected, Tagged
from puna.types import Grammar

from .functions import ToolFunction
from .lowering import lower
from .rules import Rules


class Constraint(NamedTuple):
    """A request's constraints on its answer."""

    functions: list[ToolFunction]
    required: bool
    """The answer must be a call."""
    parallel: bool
    """The answer may have several calls."""
    schema: dict[str, Any] | None
    """Content must fit this schema."""
    expected: Expected


@dataclass(frozen=True)
class Calls:
    """A family's call notation, as rules."""

    marked: Mapping[str, str]
    """The rule after each marker."""
    bare: str = ""
    """A call without a marker within text. It begins with a head, a terminal with precedence over text."""
    alone: str = ""
    """A call without a marker where text is not allowed. It may begin like a schema's content."""


Notation = Callable[[Rules, list[ToolFunction], bool], Calls]
"""Writes calls of functions; the last argument allows several in a row."""


def content(rules: Rules, schema: dict[str, Any]) -> str:
    """The rule for content that fits `schema`. Raises BadRequest if no grammar can express the schema."""
    # Plain "json" means an object, as in Ollama.
    return rules.content(lower(schema) or {"type": "object"})


def after_markers(
    format: Tagged, notation: Notation | None = None, names: str = r"(?s:.*)"
) -> Callable[[Constraint], Grammar | None]:
    """Constrains answers of `format`: content, and calls if there is a `notation`.

    `names` is a regular expression of the function names that the notation can write. The grammar omits other
    functions.
    """

    def constrain(constraint: Constraint) -> Grammar | None:
        writable = [one for one in constraint.functions if notation and re.fullmatch(names, one.name)]
        required = constraint.required and bool(writable)
        constraint = constraint._replace(functions=writable, required=required)
        rules = Rules()
        calls = Calls({})
        if notation and writable:
            calls = notation(rules, writable, constraint.parallel)
        if not (calls.marked or calls.bare or constraint.schema is not None):
            return None
        if constraint.schema is not None or required:
            return _throughout(rules, format, calls, constraint)
        return _calls_alone(rules, format, calls, constraint)

    return constrain


def _throughout(rules: Rules, format: Tagged, calls: Calls, constraint: Constraint) -> Grammar:
    """Constrains the whole answer: optional reasoning, then content by schema or calls."""
    goals: list[str] = []
    if constraint.schema is not None and not constraint.required:
        dropped = " | ".join(map(rules.marker, format.dropped))
        around = f"({dropped})?" if dropped else ""
        goals.append(f"{around} {content(rules, constraint.schema)} {around}")
    one = [f"{rules.marker(marker)} {body}" for marker, body in calls.marked.items()]
    more = ""
    if one:
        call = rules.any_of("called", one)
        more = f" (GAP {call})*" if constraint.parallel else ""
        goals.append(f"GAP {call}{more}")
    if calls.alone:
        goals.append(calls.alone)
    goal = rules.any_of("goal", goals)
    tags, opened = format.tags, format.opened(constraint.expected)
    if tags is None or constraint.expected.continues or (constraint.expected.think is False and not opened):
        return rules.grammar(goal)
    within = tags.calls_end_it and bool(one)
    alternatives = [f"{rules.until(tags.close) if within else rules.through(tags.close)} GAP {goal}"]
    if within:
        alternatives += [f"{rules.until(marker)} {body}{more}" for marker, body in calls.marked.items()]
    reasoning = rules.any_of("reasoning", alternatives)
    if opened:
        return rules.grammar(reasoning)
    return rules.grammar(f"{goal} | {rules.until(tags.open, 'GAP')} {reasoning}")


def _calls_alone(rules: Rules, format: Tagged, calls: Calls, constraint: Constraint) -> Grammar:
    """Constrains only calls: any text up to a marker, then a call."""
    tags, opened = format.tags, format.opened(constraint.expected)
    called = [f"{rules.until(marker)} {body}" for marker, body in calls.marked.items()]
    repeated, last = (called, ["text"]) if constraint.parallel else ([], ["text", *called])
    if tags is None:
        return rules.grammar(_beginning(rules, calls, constraint, _content(rules, repeated, last)))

    within, closing, unfinished = [], rules.through(tags.close), "anything"
    if tags.calls_end_it:
        within, closing, unfinished = called, rules.until(tags.close), "text"
    if tags.anywhere:
        opening = rules.until(tags.open)
        calls_within = [f"{opening} {one}" for one in within]
        repeated = [*repeated, f"{opening} {closing}", *(calls_within if constraint.parallel else [])]
        last = [*last, f"{opening} {unfinished}", *([] if constraint.parallel else calls_within)]
    text = _content(rules, repeated, last)
    beginning = _beginning(rules, calls, constraint, text)
    rest = text if constraint.parallel else ""
    alternatives = [f"{closing} {beginning}", unfinished, *(f"{one} {rest}" for one in within)]
    reasoning = rules.any_of("reasoning", alternatives)
    if opened:
        return rules.grammar(reasoning)
    if tags.anywhere or constraint.expected.continues:
        return rules.grammar(beginning)
    return rules.grammar(f"{beginning} | {rules.until(tags.open, 'BLANK')} {reasoning}")


def _content(rules: Rules, repeated: list[str], last: list[str]) -> str:
    before = f"({' | '.join(repeated)})* " if repeated else ""
    return rules.rule("content", f"{before}({' | '.join(last)})")


def _beginning(rules: Rules, calls: Calls, constraint: Constraint, text: str) -> str:
    """Content, which may begin with a bare call."""
    if not calls.bare or constraint.expected.continues:
        return text
    rest = text if constraint.parallel else ""
    return rules.any_of("beginning", [f"{calls.bare} {rest}", text])
