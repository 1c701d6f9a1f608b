"""Glimmer: messages with recipients, `<|start|>assistant to=self<|message|>…<|eom|>`.

Reasoning is a message to itself. A call is
`<atem:function_calls><atem:invoke name="f"><atem:parameter name="k">v</atem:parameter>…` in a message to the
tool. Models sometimes name a wrong recipient, so a message that consists only of calls is a call, too.

Source: Ollama model/parsers/glimmer.go.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Constraint, Rules, ToolFunction
from puna.chat.grammars.answer import content
from puna.chat.grammars.invoked import invocation_rules
from puna.chat.grammars.rules import literal, literals
from puna.chat.parsing import Content, Expected, Malformed, Scanner, Step, Thought, Tools
from puna.chat.parsing.invoked import elements
from puna.chat.parsing.markers import Markers, markers
from puna.chat.parsing.pending import PartKind
from puna.chat.parsing.tagged import OnCall
from puna.chat.renderers import Renderer
from puna.chat.renderers.glimmer import glimmer
from puna.types import Grammar

_START, _MESSAGE = "<|start|>", "<|message|>"
_ENDS = ("<|eom|>", "<|eot|>")
_CALLS, _CALLS_END = "<atem:function_calls>", "</atem:function_calls>"
_PARAMETER = '<atem:parameter name="'
_WRITTEN = elements(_CALLS_END, "atem:")
_BOUNDARIES = markers(*_ENDS, _START)
_BOUNDARIES_AND_CALLS = markers(*_ENDS, _START, _CALLS)


@dataclass(frozen=True)
class Glimmer:
    """Messages to `self` are reasoning, those to a tool are calls, all others content."""

    special: frozenset[str] = frozenset({_START, _MESSAGE, *_ENDS})
    reasoning: str = "assistant to=self"

    def read(self, source: Scanner, expected: Expected) -> Step[None]:
        tools = expected.tools
        body, boundary, first = _CONTENT, _START, True
        while boundary:
            end = ""
            if boundary == _START:
                recipient = yield from _header(source, body)
                if recipient is None and first:
                    recipient = ""
                if recipient is not None:
                    body = _body(recipient, expected)
                    end = (yield from _alone(source, tools)) if tools.names and body == _CONTENT else ""
            elif boundary == _CALLS:
                yield from _interrupting_calls(source, tools, body)
            else:
                yield from source.skip()
                body = _CONTENT
            first = False
            boundary = end or (yield from _text(source, body))


class _Body(NamedTuple):
    """A message's body: the kind of its text, and the markers that may end or interrupt it."""

    kind: PartKind
    markers: Markers | None


_CONTENT = _Body(Content, _BOUNDARIES)


def _body(recipient: str, expected: Expected) -> _Body:
    """The body of a message to this recipient."""
    if recipient == "self":
        return _Body(None if expected.think is False else Thought, _BOUNDARIES)
    addressed = _own_name(recipient, expected.tools) in expected.tools.names
    return _Body(Content, _BOUNDARIES_AND_CALLS) if addressed else _CONTENT


def _header(source: Scanner, before: _Body) -> Step[str | None]:
    """The recipient of a message, read after its start; "" for none.

    Anything else continues the body `before`: then it returns None.
    """
    begun = source.has_pending
    try:
        yield from source.blank()
        source.certain = bool((yield from source.choice(_START))) or begun
        yield from source.choice("assistant")
        yield from source.blank()
        recipient = ""
        if (yield from source.choice("to=")):
            source.certain = True
            recipient = yield from source.word(r"^<>\s")
            yield from source.blank()
        yield from source.expect(_MESSAGE)
    except Malformed:
        source.refuse(before.kind)
        return None
    finally:
        source.certain = False
    source.drop()
    return recipient


def _text(source: Scanner, body: _Body) -> Step[str]:
    """Reads text up to a boundary."""
    boundary = yield from source.text(body.markers, body.kind)
    if boundary and boundary != _CALLS:
        source.emit_before_last(body.kind)
    return boundary


def _interrupting_calls(source: Scanner, tools: Tools, body: _Body) -> Step[None]:
    """Reads calls within the body of a message to a tool; anything else continues the body."""
    try:
        yield from _calls(source, tools, source.called)
        yield from source.skip()
    except (ValueError, RecursionError):
        source.refuse(body.kind)
    finally:
        source.certain = False


def _alone(source: Scanner, tools: Tools) -> Step[str]:
    """Reads a message that consists only of calls; returns its end marker, or "" for any other message."""
    calls: list[tuple[str, dict[str, Any]]] = []
    try:
        yield from source.blank()
        yield from source.expect(_CALLS)
        yield from _calls(source, tools, lambda *call: calls.append(call))
        yield from source.blank()
        end = yield from source.choice(*_ENDS, _START)
        if not end and (yield from source.ahead()):
            raise Malformed
    except (ValueError, RecursionError):
        source.refuse(Content)
        return ""
    finally:
        source.certain = False
    for name, arguments in calls:
        source.called(name, arguments)
    return end


def _calls(source: Scanner, tools: Tools, called: OnCall) -> Step[None]:
    """Reads calls after the first tag; `called` for each."""
    source.certain = True
    yield from source.blank()
    yield from source.expect(_WRITTEN.another)
    yield from _WRITTEN.calls(source, tools, _tool_name, called=called)


def _tool_name(source: Scanner, tools: Tools) -> Step[tuple[str, str]]:
    yield from source.expect(' name="')
    name, begun = yield from _name(source)
    name = _own_name(name, tools)
    if name not in tools.names:
        raise Malformed
    return name, f'name="{(yield from source.until(">"))[0]}' if begun else ""


def _name(source: Scanner) -> Step[tuple[str, bool]]:
    """Reads a function's name, and whether its first parameter has begun.

    These models may write `<|message|>` within the name, or instead of its end.
    """
    name = ""
    while True:
        part, end = yield from source.until('">', _MESSAGE)
        name += part
        if end != _MESSAGE:
            return name, False
        if (yield from source.choice(_PARAMETER)):
            return name, True


def _own_name(name: str, tools: Tools) -> str:
    """The tool's name without the namespace that these models may prefix."""
    namespace, _, rest = name.partition(".")
    if name not in tools.names and rest in tools.names and rest.partition(".")[0] == namespace:
        return rest
    return name


def _constrain(constraint: Constraint) -> Grammar | None:
    if not constraint.functions and constraint.schema is None:
        return None
    rules = Rules()
    calls = ""
    if constraint.functions:
        all_of_them = invocation_rules(
            rules,
            constraint.functions,
            constraint.parallel,
            close=_CALLS_END,
            outer=lambda terminal: rules.head(f"{terminal} {literal(_CALLS_END)}"),
            last=literal(_CALLS_END),
            prefix="atem:",
        )
        calls = rules.rule("calls", f"GAP {all_of_them}")
    if constraint.schema is None and not constraint.required:
        return _free(rules, constraint, calls)

    message = rules.marker(_MESSAGE)
    text = rules.without(_START, "<|eot|>", _CALLS)
    goals: list[str] = []
    if constraint.schema is not None and not constraint.required:
        goals.append(f'"to=user" {message} {content(rules, constraint.schema)}')
    if calls:
        goals.append(f'"to=" {_names(constraint.functions)} {message} GAP {rules.marker(_CALLS)} {calls}')
    next_one = f'GAP {rules.marker(_START)} "assistant" GAP'
    thought = f'"to=self" {message} {rules.until("<|eom|>", text)} {next_one}'
    return rules.grammar(f"GAP ({thought})* ({' | '.join(goals)})")


def _free(rules: Rules, constraint: Constraint, calls: str) -> Grammar:
    """Messages of any text. A message to a tool, or one that begins with a call, must be a call."""
    boundaries = literals((_START, *_ENDS))
    text = rules.terminal("TEXT", f"ANY & ~(ANY {boundaries} ANY)")
    plain = rules.terminal("PLAIN", f"{text} & ~(BLANK {literal(_CALLS)} ANY)")
    bare = rules.terminal("BARE", f"{plain} & ~(ANY {literal(_MESSAGE)} ANY)")
    tool = rules.terminal("TOOL", f'BLANK "to=" {_names(constraint.functions)} BLANK')
    self = rules.terminal("SELF", 'BLANK "to=self" BLANK')
    other = rules.terminal("OTHER", f"{bare} & ~({tool}) & ~({self})")

    called = f"{rules.until(_CALLS, 'BLANK')} {calls}"
    ended = f"GAP ({' | '.join(map(rules.marker, _ENDS))})"
    next_one = f'{rules.until(_START, "GAP")} "assistant"'
    call = rules.rule("call", f"{rules.until(_MESSAGE, tool)} {called}")
    alone = rules.rule("alone", f"{rules.until(_MESSAGE, other)}? {called}")
    heads = [(rules.until(_MESSAGE, self), text), (rules.until(_MESSAGE, other), plain), ("", bare)]
    open_ended = [f"{head} {body}" for head, body in heads]
    closed = [f"{head} {rules.until(end, body)}" for head, body in heads for end in _ENDS]
    interrupted = [f'{head} {rules.until(_START, body)} "assistant"' for head, body in heads]

    message = rules.any_of("message", closed)
    following = f"{message} {next_one} | {rules.any_of('interrupted', interrupted)}"
    if constraint.parallel:
        following += f" | ({call} | {alone}) ({ended})? {next_one}"
    last = rules.any_of("last", [*open_ended, message, f"({call} | {alone}) ({ended})?"])
    return rules.grammar(f"({next_one})? ({following})* {last}")


def _names(functions: list[ToolFunction]) -> str:
    """The functions as recipients, with or without their namespace."""
    return literals(
        name for one in functions for name in (one.name, f"{one.name.partition('.')[0]}.{one.name}")
    )


_FORMAT = Glimmer()

FAMILY = Family(
    variants=(
        Variant("glimmer", tools=True, thinks=True, renderer=Renderer(glimmer, "tools", "think", "images")),
    ),
    evidence=(Evidence((_CALLS,)),),
    format=_FORMAT,
    constrain=_constrain,
)
