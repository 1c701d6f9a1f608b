"""Functionary 3.2: `>>>f` and JSON arguments on the next line; text is to the recipient `all`.

The prompt ends with the first `>>>`.

Sources: the chat template of meetkai/functionary-medium-v3.2; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from dataclasses import dataclass

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Constraint, Rules
from puna.chat.grammars.answer import content
from puna.chat.grammars.objects import arguments
from puna.chat.grammars.rules import literal
from puna.chat.parsing import Content, Expected, Malformed, Scanner, Step, Tools
from puna.chat.parsing.markers import markers
from puna.chat.parsing.values import json_object
from puna.types import Grammar

_TO, _ALL = ">>>", "all\n"


@dataclass(frozen=True)
class Functionary:
    """Only `all` and the request's tools are recipients, because `>>>` also occurs in text."""

    special: frozenset[str] = frozenset()
    reasoning: str = ""

    def read(self, source: Scanner, expected: Expected) -> Step[None]:
        marker = "" if expected.continues else _TO
        if marker:
            yield from source.choice(_TO)
        while True:
            if marker:
                yield from _message(source, expected.tools)
            marker = yield from source.text(markers(_TO), Content)
            if not marker:
                return


def _message(source: Scanner, tools: Tools) -> Step[None]:
    """Reads a recipient, and the arguments if it is a tool."""
    try:
        recipient = yield from source.choice(_ALL, *(f"{name}\n" for name in tools.names))
        if not recipient:
            raise Malformed
        if recipient == _ALL:
            source.drop()
            return
        source.certain = True
        yield from source.blank()
        source.called(recipient[:-1], json_object((yield from source.bracketed())))
        yield from source.skip()
    except (ValueError, RecursionError):
        source.refuse(Content)
    finally:
        source.certain = False


def _constrain(constraint: Constraint) -> Grammar | None:
    functions, schema = constraint.functions, constraint.schema
    if not functions and schema is None:
        return None
    rules = Rules()
    calls = {f"{one.name}\n": f"SPACE {arguments(rules, one)}" for one in functions}
    named = rules.any_of("call", [f"{literal(name)} {given}" for name, given in calls.items()])
    goals = [f"{named} (GAP {rules.marker(_TO)} {named})*" if constraint.parallel else named] if calls else []
    text = ""
    if schema is not None and not constraint.required:
        text = content(rules, schema)
    elif not constraint.required:
        later = [f"{rules.until(_TO + name)} {given}" for name, given in calls.items()]
        repeated = f"({' | '.join(later)})*" if constraint.parallel else ""
        text = rules.any_of("content", [f"{repeated} text", *([] if repeated else later)])
    if text and constraint.expected.continues:
        return rules.grammar(text)
    goals += [f"{literal(_ALL)} {text}"] if text else []
    return rules.grammar(f"({literal(_TO)})? ({' | '.join(goals)})")


_FORMAT = Functionary()

FAMILY = Family(
    variants=(Variant("functionary", tools=True),),
    evidence=(Evidence((f"{_TO}all",)),),
    format=_FORMAT,
    constrain=_constrain,
)
