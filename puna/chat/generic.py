"""Models whose template matches no family.

The texts around `.ToolCalls` and `.Thinking` in a Go template are the call marker and the reasoning tags.
Without a marker, a call is a bare JSON object.

Sources: Ollama tools/template.go, tools/tools.go and thinking/template.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import permutations

from puna.chat.family import Family
from puna.chat.gotemplate import FUNCTIONS, parse
from puna.chat.gotemplate.nodes import (
    Action,
    Branch,
    Field,
    Operand,
    Pipeline,
    Statements,
    TextNode,
    Variable,
)
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.answer import Notation
from puna.chat.grammars.objects import alone, bare, call, call_list
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import bare_objects, json_calls
from puna.chat.parsing.lenient import LENIENT
from puna.errors import BadRequest


@dataclass(frozen=True)
class LearnedFormat:
    """The answer format that a Go template implies."""

    marker: str = "{"
    """The text before calls; a bracket if there is none."""
    tags: tuple[str, str] = ("", "")
    """The tags around reasoning; empty if unknown."""


def learn_format(source: str) -> LearnedFormat:
    """The format of a Go template; the default for other templates."""
    try:
        tree = parse(source, FUNCTIONS)[""]
    except (BadRequest, RecursionError):
        return LearnedFormat()
    calls = _calls(tree)
    text = _first_text(calls.body) if calls else ""
    marker = (text or "").replace("\r\n", "\n").partition("{")[0].strip()
    if len(marker) > 1:
        marker = marker.removesuffix("[").rstrip()  # the list's bracket is part of the call
    return LearnedFormat(marker or "{", _tags(tree, within=False) or ("", ""))


@lru_cache(maxsize=64)
def generic(template: str) -> Family:
    """The family of models with this template."""
    format = _format(learn_format(template))
    # Jinja templates are not analysed.
    format = replace(format, lenient=LENIENT) if "{%" in template else format
    constrain = after_markers(format, _notation(format), names.IN_JSON)
    return Family(variants=(), format=format, constrain=constrain)


def _notation(format: Tagged) -> Notation:
    def notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
        if not format.calls:
            return Calls(
                {}, bare(rules, functions, parallel=parallel), alone(rules, functions, parallel=parallel)
            )
        marker = next(iter(format.calls))
        one = call(rules, functions, keys=("arguments", "parameters"))
        close = _closing(marker)
        body = rules.any_of("calls", [one, call_list(one, parallel=parallel)])
        end = f" SPACE {rules.marker(close)}" if close else ""
        return Calls({marker: f"SPACE {body}{end}"})

    return notation


def _format(learned: LearnedFormat) -> Tagged:
    without_marker = learned.marker in ("{", "[")
    texts = learned.tags if without_marker else (learned.marker, *learned.tags)
    ambiguous = any(one.startswith(other) for one, other in permutations(texts, 2))
    tags = None if ambiguous or not all(learned.tags) else ThinkingTags(*learned.tags)
    special = frozenset(learned.tags if tags else ())
    if without_marker:
        return Tagged(tags=tags, bare=bare_objects, special=special)
    close = _closing(learned.marker)
    special |= {learned.marker, close} - {""}
    return Tagged(tags=tags, calls={learned.marker: json_calls(close)}, special=special)


def _closing(marker: str) -> str:
    """The closing tag of a marker; "" if the marker is not a tag."""
    return re.sub(r"^([<\[]\|?)", r"\1/", marker) if re.fullmatch(r"[<\[]\S+[>\]]", marker) else ""


def _fields(operand: Operand) -> set[str]:
    """The fields that an operand, or the commands of a pipeline, name directly."""
    if isinstance(operand, (Field, Variable)):
        return set(operand.path)
    if isinstance(operand, Pipeline):
        return {name for command in operand.commands for one in command.operands for name in _fields(one)}
    return set()


def _own_fields(pipeline: Pipeline) -> set[str]:
    operands = [one for command in pipeline.commands for one in command.operands]
    return {name for one in operands if not isinstance(one, Pipeline) for name in _fields(one)}


def _calls(sequence: Statements) -> Branch | None:
    """The first `if` that tests .ToolCalls."""
    for statement in sequence:
        if not isinstance(statement, Branch):
            continue
        if statement.kind == "if" and "ToolCalls" in _own_fields(statement.pipeline):
            return statement
        if found := _calls(statement.body) or _calls(statement.otherwise or ()):
            return found
    return None


def _first_text(sequence: Statements) -> str | None:
    """The first text before any printed value."""
    for statement in sequence:
        if isinstance(statement, TextNode):
            if statement.source.strip():
                return statement.source
        elif isinstance(statement, Branch):
            found = _first_text(statement.body)
            return found if found is not None else _first_text(statement.otherwise or ())
        else:
            return None
    return None


def _tags(sequence: Statements, *, within: bool) -> tuple[str, str] | None:
    """The texts at both ends of the innermost statements around .Thinking, in a loop over .Messages."""
    texts = [statement for statement in sequence if not isinstance(statement, TextNode) or statement.source]
    for statement in texts:
        if isinstance(statement, Branch):
            loops = statement.kind == "range" and "Messages" in _fields(statement.pipeline)
            inside = within or loops
            if found := _tags(statement.body, within=inside) or _tags(
                statement.otherwise or (), within=inside
            ):
                return found
        elif within and isinstance(statement, Action) and "Thinking" in _fields(statement.pipeline):
            first, last = texts[0], texts[-1]
            if isinstance(first, TextNode) and isinstance(last, TextNode):
                return first.source.strip(), last.source.strip()
    return None
