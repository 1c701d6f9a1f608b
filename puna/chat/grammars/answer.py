"""The shape of most answers: text, reasoning between two tags, and calls that begin with a marker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from puna.chat.parsing.tagged import Asked, Tagged
from puna.types import Grammar

from .lowering import lowered
from .rules import Rules
from .schemas import Function


class Held(NamedTuple):
    """What a request holds its answer to."""

    functions: list[Function]
    required: bool
    """There must be a call."""
    parallel: bool
    """There may be several."""
    schema: dict[str, Any] | None
    """Content must fit it."""
    asked: Asked


@dataclass(frozen=True)
class Calls:
    """A family's notation of calls, each with the rules it needs."""

    marked: Mapping[str, str]
    """What is behind each marker."""
    bare: str = ""
    """A call without a marker among text: it begins with a head, a terminal that text cannot win against."""
    alone: str = ""
    """The same where no text may stand: it and a schema's content are both open until they part."""


Notation = Callable[[Rules, list[Function], bool], Calls]
"""Writes the calls of these functions, in one go several if the last argument is true."""


def content(rules: Rules, schema: dict[str, Any]) -> str:
    # Who asks for no more than JSON means an object, as Ollama has it.
    return rules.json("format", lowered(schema) or {"type": "object"})


def tagged(form: Tagged, notation: Notation | None, held: Held) -> Grammar | None:
    rules = Rules()
    calls = Calls({})
    if notation and held.functions:
        calls = notation(rules, held.functions, held.parallel)
    if not (calls.marked or calls.bare or held.schema is not None):
        return None
    if held.schema is not None or held.required:
        return _held(rules, form, calls, held)
    return _free(rules, form, calls, held)


def _held(rules: Rules, form: Tagged, calls: Calls, held: Held) -> Grammar:
    """Reasoning if there is any, then nothing but what must come."""
    goals: list[str] = []
    if held.schema is not None and not held.required:
        dropped = " | ".join(map(rules.marker, form.dropped))
        around = f"({dropped})?" if dropped else ""
        goals.append(f"{around} {content(rules, held.schema)} {around}")
    one = [f"{rules.marker(marker)} {body}" for marker, body in calls.marked.items()]
    more = ""
    if one:
        call = rules.any_of("called", one)
        more = f" (GAP {call})*" if held.parallel else ""
        goals.append(f"GAP {call}{more}")
    if calls.alone:
        goals.append(calls.alone)
    goal = rules.any_of("goal", goals)
    tags, opened = form.watched(held.asked)
    if tags is None or held.asked.continues or (held.asked.think is False and not opened):
        return rules.grammar(goal)
    within = tags.calls_end_it and bool(one)
    ways = [f"{rules.until(tags.close) if within else rules.through(tags.close)} GAP {goal}"]
    if within:
        ways += [f"{rules.until(marker)} {body}{more}" for marker, body in calls.marked.items()]
    reasoning = rules.any_of("reasoning", ways)
    if opened:
        return rules.grammar(reasoning)
    return rules.grammar(f"{goal} | {rules.until(tags.open, 'GAP')} {reasoning}")


def _free(rules: Rules, form: Tagged, calls: Calls, held: Held) -> Grammar:
    """Any text until a call's marker; from there on a call."""
    tags, opened = form.watched(held.asked)
    called = [f"{rules.until(marker)} {body}" for marker, body in calls.marked.items()]
    repeated, last = (called, ["text"]) if held.parallel else ([], ["text", *called])
    if tags is None:
        return rules.grammar(_beginning(rules, calls, held, _content(rules, repeated, last)))

    within, closing, unfinished = [], rules.through(tags.close), "anything"
    if tags.calls_end_it:
        within, closing, unfinished = called, rules.until(tags.close), "text"
    if tags.anywhere:
        opening = rules.until(tags.open)
        calls_within = [f"{opening} {one}" for one in within]
        repeated = [*repeated, f"{opening} {closing}", *(calls_within if held.parallel else [])]
        last = [*last, f"{opening} {unfinished}", *([] if held.parallel else calls_within)]
    text = _content(rules, repeated, last)
    beginning = _beginning(rules, calls, held, text)
    behind = text if held.parallel else ""
    ways = [f"{closing} {beginning}", unfinished, *(f"{one} {behind}" for one in within)]
    reasoning = rules.any_of("reasoning", ways)
    if opened:
        return rules.grammar(reasoning)
    if tags.anywhere or held.asked.continues:
        return rules.grammar(beginning)
    return rules.grammar(f"{beginning} | {rules.until(tags.open, 'BLANK')} {reasoning}")


def _content(rules: Rules, repeated: list[str], last: list[str]) -> str:
    before = f"({' | '.join(repeated)})* " if repeated else ""
    return rules.rule("content", f"{before}({' | '.join(last)})")


def _beginning(rules: Rules, calls: Calls, held: Held, text: str) -> str:
    """Content, which may begin with a bare call."""
    if not calls.bare or held.asked.continues:
        return text
    behind = text if held.parallel else ""
    return rules.any_of("beginning", [f"{calls.bare} {behind}", text])
