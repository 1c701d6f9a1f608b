"""Calls as JSON objects."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from puna.chat.schema import Schema, standing_alone
from puna.errors import BadRequest

from .answer import Calls, Notation
from .functions import ToolFunction, lower_leniently
from .order import in_any_order
from .rules import Rules, in_json, literals

_SIMPLE = {
    "$comment",
    "$defs",
    "additionalProperties",
    "default",
    "definitions",
    "description",
    "properties",
    "required",
    "strict",
    "title",
    "type",
}
"""Keywords that add no constraint to an object whose named properties are all its properties."""

_PLAIN = {"$comment", "default", "description", "examples", "title", "type"}
"""Keywords of a string's schema that do not constrain it."""

_HALVES = r"[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
ESCAPED = rf"u([0-9a-cA-CefEF][0-9a-fA-F]{{3}}|[dD][0-7][0-9a-fA-F]{{2}}|{_HALVES})"
"""The code after the backslash of a JSON string's escaped letter, without halves of surrogate pairs."""

_ANY_STRING = rf'/"([^"\\\x00-\x1f\x7f]|\\(["\\\/bfnrt]|{ESCAPED}))*"/'
"""A JSON string. llguidance allows \\u only for control characters, but models escape other letters, too."""

STRING = r'/"[^"\\\x00-\x1f]{0,64}"/'
"""A JSON string that needs no escapes: an id."""


def arguments(rules: Rules, function: ToolFunction) -> str:
    """The rule for a function's arguments as one JSON object, by its schema."""
    return _value(rules, function.parameters, function.parameters)


def _value(rules: Rules, schema: Any, root: Schema) -> str:
    """A value; an object with only its named properties may have them in any order."""
    if isinstance(schema, dict) and schema.get("type") == "string" and schema.keys() <= _PLAIN:
        return rules.terminal("STRING", _ANY_STRING)
    properties: Schema = (schema.get("properties") or {}) if isinstance(schema, dict) else {}
    closed = properties and schema.keys() <= _SIMPLE and schema.get("additionalProperties") is False
    if not closed or schema.get("type", "object") != "object":
        return by_schema(rules, standing_alone(schema, root))
    required = schema.get("required") or ()
    pairs = [
        (rules.rule("pair", f'{in_json(name)} SPACE ":" SPACE {_value(rules, one, root)}'), name in required)
        for name, one in properties.items()
        if one is not False
    ]
    inner = in_any_order(rules, pairs, 'SPACE "," SPACE')
    return rules.rule("object", f'"{{" SPACE {inner} SPACE "}}"')


def by_schema(rules: Rules, schema: Any) -> str:
    """A JSON value by a tool's schema. Ignores unsupported keywords, because a call matters more."""
    with suppress(BadRequest):
        schema = lower_leniently(schema)
    return rules.json("tools", schema, lenient=True)


def call(
    rules: Rules,
    functions: Iterable[ToolFunction],
    *,
    name: str = "name",
    keys: tuple[str, ...] = ("arguments",),
    either_order: bool = False,
    before: str = "",
    after: str = "",
) -> str:
    """An object that calls one of the functions, with the arguments under one of `keys`.

    With `either_order`, the arguments may come first. `before` and `after` are keys of optional strings at
    the object's start and end.
    """
    bodies: list[str] = []
    for function in functions:
        named = f'"{_quoted(name)}" SPACE ":" SPACE {in_json(function.name)}'
        given = f'{literals(_key(key) for key in keys)} SPACE ":" SPACE {arguments(rules, function)}'
        if keys == ("arguments",):
            given = f'"{_quoted(keys[0])}" SPACE ":" SPACE {arguments(rules, function)}'
        both = f'{named} SPACE "," SPACE {given}'
        if either_order:
            both = f'({both} | {given} SPACE "," SPACE {named})'
        bodies.append(f'"{{" SPACE {_further(before, leading=True)}{both}{_further(after)} SPACE "}}"')
    return rules.any_of("call", bodies)


def call_list(call: str, *, parallel: bool) -> str:
    """A list of calls."""
    more = f' (SPACE "," SPACE {call})*' if parallel else ""
    return f'"[" SPACE {call}{more} SPACE "]"'


def list_between(open: str, close: str) -> Notation:
    """A list of calls between two markers."""

    def notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
        body = call_list(call(rules, functions), parallel=parallel)
        return Calls({open: f"SPACE {body} SPACE {rules.marker(close)}"})

    return notation


def bare(rules: Rules, functions: Iterable[ToolFunction], *, parallel: bool) -> str:
    """Objects without a marker within text, constrained once they are unambiguous."""
    heads: list[str] = []
    calls: list[str] = []
    for function in functions:
        begin = r'"{" FREE ("\"type\"" FREE ":" FREE "\"function\"" FREE "," FREE)? "\"name\"" FREE ":" FREE'
        head = f"{begin} {in_json(function.name)}"
        rest = f"SPACE {_given(rules, function)}"
        heads.append(f"{rules.head('BLANK ' + head)} {rest}")
        # Separator and head are one terminal, because text may also begin with white space here.
        calls.append(f"""{rules.head('GAP (";" GAP)? ' + head)} {rest}""")
    first = rules.any_of("bare", heads)
    if not parallel:
        return first
    return f"{first} ({rules.any_of('bare', calls)})*"


def alone(rules: Rules, functions: Iterable[ToolFunction], *, parallel: bool) -> str:
    """Objects without a marker where text is not allowed."""
    kind = r'("\"type\"" SPACE ":" SPACE "\"function\"" SPACE "," SPACE)?'
    bodies = [
        rf'"{{" SPACE {kind} "\"name\"" SPACE ":" SPACE {in_json(one.name)} SPACE {_given(rules, one)}'
        for one in functions
    ]
    first = f"GAP {rules.any_of('alone', bodies)}"
    return f'{first} (GAP (";" GAP)? {rules.any_of("alone", bodies)})*' if parallel else first


def _given(rules: Rules, function: ToolFunction) -> str:
    """The arguments after a function's name, and the object's end."""
    keys = literals(_key(key) for key in ("parameters", "arguments"))
    return f'"," SPACE {keys} SPACE ":" SPACE {arguments(rules, function)} SPACE "}}"'


def _key(text: str) -> str:
    return f'"{text}"'


def _quoted(text: str) -> str:
    return f'\\"{text}\\"'


def _further(key: str, *, leading: bool = False) -> str:
    if not key:
        return ""
    pair = f'"{_quoted(key)}" SPACE ":" SPACE {STRING}'
    return f'({pair} SPACE "," SPACE)? ' if leading else f' (SPACE "," SPACE {pair})?'
