"""Arguments written as plain text between tags, which the tool's schema gives a type."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from puna.chat.parsing.tools import Tools

from .objects import by_schema
from .order import in_any_order
from .rules import Rules, in_json, literal, literals
from .schemas import Function, Schema, closed, resolved, standing_alone
from .structured import Style, Values

_ANCHORED = re.compile(r"(\^?)((?:[^\\^$]|\\.|\[\^)*?)(\$?)", re.DOTALL)
_COMBINED = re.compile(r'"(patternProperties|prefixItems|minProperties|maxProperties)":')
_MISTAKEN = {
    "boolean": r"/\s*([tT][rR][uU][eE]|[fF][aA][lL][sS][eE])\s*/",
    "integer": r"/\s*[0-9\"-](?s:.*)/",
    "object": r"/\s*[{\"](?s:.*)/",
    "array": r"/\s*[\[\"](?s:.*)/",
}
"""Text that is, or begins as, a value of another type, where that may stand in a string's place."""
_MISTAKEN["number"] = _MISTAKEN["integer"]
_NULL = r"/\s*[nN][uU][lL][lL]\s*/"

Place = Callable[[str, str], str]
"""What is written around a value that is there already up to its end, for a parameter's name."""


def _in_json(apart: Sequence[str]) -> Style:
    """JSON whose strings contain none of `apart`: who reads the text does not look for its quotes."""

    def string(rules: Rules, schema: Schema) -> str:
        held = conditions(schema)
        plain = r'/[^"\\\x00-\x1f\x7f]*/'
        body = " & ".join([plain, *held]) if held else r'/([^"\\\x00-\x1f\x7f]|\\["\\bfnrt])*/'
        inner = rules.terminal("INNER", f"({body}) & ~(ANY {literals(apart)} ANY)")
        return rules.terminal("QUOTED", rf'"\"" {inner} "\""')

    return Style(
        string=string,
        constant=lambda _, text: in_json(text),
        keys=lambda name: (json.dumps(name, ensure_ascii=False),),
        writable=r"(?s:.)*",
        words={word: literal(word) for word in ("true", "false", "null")},
        space="SPACE",
    )


class Texts:
    """Writes the values of one function's parameters, each up to `close`.

    `pad` stands on both sides of a value and is no part of it. A value may not contain any of `apart`.
    """

    def __init__(
        self, rules: Rules, function: Function, *, close: str, pad: str = "", apart: Sequence[str] = ()
    ) -> None:
        self._rules = rules
        self._root = function.parameters
        self._close = close
        self._pad = pad
        self._apart = apart
        self._function = function
        self._typed = Tools([{"function": function._asdict()}]).typed

    def parameters(self, written: Callable[[str, str], str], writable: str) -> str:
        """All parameters, each as `written` makes it of its name and its value's rule.

        Only names that match `writable` can be.
        """
        properties = self._root.get("properties") or {}
        required = self._root.get("required") or []
        items: list[tuple[str, bool]] = []
        for name, schema in properties.items():
            if not re.fullmatch(writable, name):
                continue
            one = self._rules.rule("parameter", written(name, self._value(name, schema)))
            items.append((one, name in required))
        return in_any_order(self._rules, items)

    def _value(self, name: str, schema: Any) -> str:
        ways = self._ways(name, schema)
        return self._rules.any_of("value", ways)

    def _ways(self, name: str, schema: Any, beside: frozenset[str] = frozenset()) -> list[str]:
        """The ways to write a value up to the closing tag; `beside` are the types it may have elsewhere."""
        schema = resolved(schema, self._root)
        if not isinstance(schema, dict):
            return [self._text({}, beside)]
        for key in ("enum", "const"):
            if key in schema:
                values = schema[key] if key == "enum" else [schema[key]]
                return self._constants(name, values) or [self._text({}, beside)]
        for key in ("anyOf", "oneOf"):
            options = schema.get(key)
            if isinstance(options, list) and options:
                kinds = {kind for one in options for kind in self._kinds(one)}
                return [way for one in options for way in self._ways(name, one, beside | kinds)]
        kinds = self._kinds(schema)
        ways: list[str] = []
        if "string" in kinds or not kinds:
            ways.append(self._text(schema, beside | kinds))
        for kind in ("boolean", "null"):
            if kind in kinds:
                ways += self._constants(name, [True, False] if kind == "boolean" else [None])
        others = [kind for kind in ("object", "array", "integer", "number") if kind in kinds]
        if others:
            narrowed = standing_alone(closed({**schema, "type": others}), self._root)
            value = self._json(narrowed)
            ways.append(f"GAP {value} GAP {self._rules.marker(self._close)}")
        return ways

    def _json(self, schema: Schema) -> str:
        if set(schema["type"]) <= {"integer", "number"} or _COMBINED.search(json.dumps(schema)):
            return by_schema(self._rules, schema)
        return Values(self._rules, Function("", schema), _in_json([*self._apart, self._close])).value(schema)

    def _kinds(self, schema: Any) -> set[str]:
        """The types that a schema allows; none when it does not say."""
        schema = resolved(schema, self._root)
        if not isinstance(schema, dict):
            return set()
        said = schema.get("type")
        if isinstance(said, str):
            return {said}
        if isinstance(said, list):
            return set(said)
        if "properties" in schema:
            return {"object"}
        return {
            kind for key in ("anyOf", "oneOf") for one in schema.get(key) or () for kind in self._kinds(one)
        }

    def _constants(self, name: str, values: list[Any]) -> list[str]:
        """Only what is read back as what it is."""
        texts = [
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values
        ]
        read = [
            text
            for value, text in zip(values, texts, strict=True)
            if self._typed(self._function.name, name, text) == value and text.strip("\n") == text
        ]
        if not read:
            return []
        terminal = self._rules.terminal("CONSTANT", self._padded(literals(read)))
        return [self._rules.until(self._close, terminal)]

    def _text(self, schema: Schema, beside: frozenset[str]) -> str:
        """A string, which must not look like a value of the types `beside` it."""
        beside = beside - {"string"}
        held = conditions(schema)
        if not beside and not held and not self._apart:
            return self._rules.until(self._close)
        apart = literals([*self._apart, self._close])
        held.append(f"~(ANY {apart} ANY)")
        if beside:
            mistaken = sorted({_MISTAKEN[kind] for kind in beside if kind in _MISTAKEN})
            held += [f"~{one}" for one in (*mistaken, _NULL)]
        if len(held) > 1:
            held.append(r"~/\n(?s:.*)|(?s:.*)\n/")
            inner = self._rules.terminal("INNER", " & ".join(["ANY", *held]))
            return self._rules.until(self._close, self._rules.terminal("STRING", self._padded(inner)))
        return self._rules.until(self._close, self._rules.terminal("STRING", " & ".join(["ANY", *held])))

    def _padded(self, text: str) -> str:
        pad = f"{literal(self._pad)} " if self._pad else ""
        return f"{pad}{text} {pad}".strip()


def conditions(schema: Schema) -> list[str]:
    """What a schema says of a string's length and characters, as regular expressions that must all hold."""
    found: list[str] = []
    least, most = schema.get("minLength"), schema.get("maxLength")
    least = least if isinstance(least, int) else 0
    if isinstance(most, int) and most >= least:
        found.append(f"/(?s:.){{{least},{most}}}/")
    elif least:
        found.append(f"/(?s:.){{{least},}}/")
    if isinstance(pattern := schema.get("pattern"), str) and (regex := _anchored(pattern)):
        found.append(regex)
    return found


def _anchored(pattern: str) -> str:
    """A pattern that may be found anywhere as one that the whole text matches; "" if that cannot be said."""
    found = _ANCHORED.fullmatch(pattern)
    if not found or re.search(r"\(\?(?!:)", pattern):
        return ""
    if (found[1] or found[3]) and re.search(r"\|(?![^(]*\))", pattern):
        return ""
    try:
        re.compile(pattern)
    except re.error:
        return ""
    body = re.sub(r"(?<!\\)/", r"\/", found[2]).replace("\n", r"\n")
    return f"/{'' if found[1] else '(?s:.*)'}({body}){'' if found[3] else '(?s:.*)'}/"
