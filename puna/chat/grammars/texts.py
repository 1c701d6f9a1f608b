"""Arguments as plain text between tags, typed by the tool's schema."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from typing import Any

from puna.chat.parsing.typed import typed_value
from puna.chat.patterns import whole
from puna.chat.schema import Schema, object_alternatives, parameters, resolve, standing_alone, targets_of

from .enclosed import Enclosed, Then, writes
from .functions import ToolFunction
from .objects import by_schema
from .order import order_states
from .rules import Rules, in_json, literal, literals
from .structured import Keys, Values, ValueSyntax

_COMBINED = re.compile(r'"(patternProperties|prefixItems|minProperties|maxProperties)":')
_LIMITS = {
    "allOf",
    "const",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "maximum",
    "minimum",
    "multipleOf",
}
_MISTAKEN = {
    "boolean": r"/\s*([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])\s*/",
    "any number": r"/\s*\"(?s:.*)/",
    "integer": r"/\s*[0-9\"-](?s:.*)/",
    "object": r"/\s*[{\"](?s:.*)/",
    "array": r"/\s*[\[\"](?s:.*)/",
}
"""Strings that the parser would read as another allowed type."""
_MISTAKEN["number"] = _MISTAKEN["integer"]
_NULL = r"/\s*[nN][uU][lL][lL]\s*/"


def _in_json(terminators: str) -> ValueSyntax:
    """JSON whose strings contain none of `terminators`, because the parser ignores quotes."""

    def string(rules: Rules, schema: Schema) -> str:
        limits = conditions(schema)
        plain = r'/[^"\\\x00-\x1f\x7f]*/'
        body = " & ".join([plain, *limits]) if limits else r'/([^"\\\x00-\x1f\x7f]|\\["\\bfnrt])*/'
        inner = rules.terminal("INNER", f"({body}) & ~(ANY {terminators} ANY)")
        return rules.terminal("QUOTED", rf'"\"" {inner} "\""')

    return ValueSyntax(
        string=string,
        constant=lambda _, text: in_json(text),
        keys=Keys(lambda name: (json.dumps(name, ensure_ascii=False),), r"(?s:.)*", string),
        words={word: literal(word) for word in ("true", "false", "null")},
        space="SPACE",
    )


class Arguments:
    """Writes the values of one function's parameters, and the tags between them."""

    def __init__(self, rules: Rules, function: ToolFunction, enclosed: Enclosed, tail: str) -> None:
        """`tail` follows the end tag of a call."""
        self._rules = rules
        self._root = function.parameters
        self._targets = targets_of(self._root)
        self._enclosed = enclosed
        self._tail = tail
        self._declared = tuple(dict.fromkeys(parameters(self._root, self._targets)))
        self._free: dict[Then, str] = {}

    def call(self) -> str:
        """A call after its function's name, with parameters in any order."""
        alternatives = [self._written(one) for one in object_alternatives(self._root, self._targets)]
        return self._rules.any_of("arguments", alternatives)

    def _written(self, schema: Schema) -> str:
        required = schema.get("required") or []
        given = schema.get("properties") or {}
        named = {
            name: one for name, one in given.items() if writes(self._enclosed, name) and one is not False
        }
        order = order_states([(name, name in required) for name in named])
        heads: dict[Hashable, str] = {}
        values: dict[tuple[str, Hashable], str] = {}

        def head(state: Hashable) -> str:
            """A parameter, starting with its name, and the rest; "" if none is left."""
            if state not in heads:
                following = order.following(state)
                heads[state] = self._rules.reserve("named") if following else ""
                if following:
                    bodies = [f"{self._enclosed.head(name)} {value(name, then)}" for name, then in following]
                    self._rules.define(heads[state], " | ".join(bodies))
            return heads[state]

        def value(name: str, state: Hashable) -> str:
            """A parameter's value, and the rest."""
            if (name, state) not in values:
                values[name, state] = rule = self._rules.reserve("value")
                self._rules.define(rule, " | ".join(self._alternatives(name, named[name], after(state))))
            return values[name, state]

        def after(state: Hashable) -> Then:
            left = [
                (name, value(name, then)) for name, then in order.following(state) if name not in order.again
            ]
            return Then(head(state), self._tail if order.may_end(state) else "", tuple(left))

        tail = self._tail if order.may_end(order.first) else ""
        return self._enclosed.following(Then(head(order.first), tail), close=False)

    def _alternatives(
        self, name: str, schema: Any, then: Then, beside: frozenset[str] = frozenset()
    ) -> list[str]:
        """The alternatives for a value and the rest; `beside` are the types of its other options."""
        schema = resolve(schema, self._targets)
        if not isinstance(schema, dict):
            return self._text({}, beside, then)
        for key in ("enum", "const"):
            if key in schema:
                values = schema[key] if key == "enum" else [schema[key]]
                constants = self._constants(schema, values, then)
                return constants or self._text({}, beside, then)
        for key in ("anyOf", "oneOf"):
            options = schema.get(key)
            if isinstance(options, list) and options:
                kinds = self._mistakable(options)
                beside |= kinds
                return [rule for one in options for rule in self._alternatives(name, one, then, beside)]
        kinds = self._kinds(schema)
        if not kinds:
            return self._text({}, beside, then)
        alternatives = (
            self._text(schema, beside | self._mistakable([schema]), then) if "string" in kinds else []
        )
        for kind in ("boolean", "null"):
            if kind in kinds:
                values = [True, False] if kind == "boolean" else [None]
                alternatives += self._constants(schema, values, then)
        others = [kind for kind in ("object", "array", "integer", "number") if kind in kinds]
        if others:
            narrowed = standing_alone({**schema, "type": others}, self._root)
            alternatives.append(f"GAP {self._json(narrowed)} {self._enclosed.following(then, close=True)}")
        return alternatives

    def _json(self, schema: Schema) -> str:
        if set(schema["type"]) <= {"integer", "number"} or _COMBINED.search(json.dumps(schema)):
            return by_schema(self._rules, schema)
        return Values(self._rules, ToolFunction("", schema), _in_json(literals(self._enclosed.tags))).value(
            schema
        )

    def _kinds(self, schema: Any) -> set[str]:
        """The types that a schema allows; empty if unknown."""
        schema = resolve(schema, self._targets)
        if not isinstance(schema, dict):
            return set()
        given = schema.get("type")
        if isinstance(given, str):
            return {given}
        if isinstance(given, list):
            return set(given)
        if "properties" in schema:
            return {"object"}
        return {
            kind for key in ("anyOf", "oneOf") for one in schema.get(key) or () for kind in self._kinds(one)
        }

    def _mistakable(self, options: list[Any]) -> set[str]:
        """The types that a string must not look like.

        If any string and any number are allowed, a string may begin like a number: `10px`.
        """
        kinds = {kind for one in options for kind in self._kinds(one)}
        given = [one for option in options if isinstance(one := resolve(option, self._targets), dict)]
        if any(one.keys() & _LIMITS or conditions(one) for one in given):
            return kinds
        return {"any number" if kind in ("integer", "number") else kind for kind in kinds}

    def _constants(self, schema: Schema, values: list[Any], then: Then) -> list[str]:
        """The constants that the parser reads back unchanged."""
        read = [
            text
            for value in values
            for text in _spellings(value)
            if typed_value(schema, self._targets, text) == value and text.strip("\n") == text
        ]
        return self._ended(literals(read), then) if read else []

    def _text(self, schema: Schema, beside: frozenset[str], then: Then) -> list[str]:
        """A string that does not look like a value of the types `beside`."""
        beside = beside - {"string"}
        limits = conditions(schema)
        if beside:
            mistaken = sorted({_MISTAKEN[kind] for kind in beside if kind in _MISTAKEN})
            limits += [f"~{one}" for one in (*mistaken, _NULL)]
        if not limits:
            if then not in self._free:
                self._free[then] = self._enclosed.text(then, self._declared)
            return [self._free[then]]
        return self._ended(" & ".join(["ANY", *limits, r"~/\n(?s:.*)|(?s:.*)\n/"]), then)

    def _ended(self, body: str, then: Then) -> list[str]:
        """A value that fits `body`."""
        # No tags inside, because a grammar cannot combine the value's constraints with all its possible ends.
        inner = self._rules.terminal("INNER", f"{body} & ~(ANY {literals(self._enclosed.tags)} ANY)")
        return self._enclosed.limited(inner, then)


def _spellings(value: Any) -> list[str]:
    """A constant's texts. Many templates print a truth value as Python does."""
    if isinstance(value, str):
        return [value]
    return [json.dumps(value, ensure_ascii=False), *([str(value)] if isinstance(value, bool) else [])]


def conditions(schema: Schema) -> list[str]:
    """A schema's constraints on a string, as regular expressions that must all hold."""
    found: list[str] = []
    least, most = schema.get("minLength"), schema.get("maxLength")
    least = least if isinstance(least, int) else 0
    if isinstance(most, int) and most >= least:
        found.append(f"/(?s:.){{{least},{most}}}/")
    elif least:
        found.append(f"/(?s:.){{{least},}}/")
    if isinstance(pattern := schema.get("pattern"), str):
        found += [f"/(?:{slashed})/" for slashed in (one.replace("/", r"\/") for one in whole(pattern))]
    for part in schema.get("allOf") or ():
        found += conditions(part) if isinstance(part, dict) else []
    return found
