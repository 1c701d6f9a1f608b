"""Writes a grammar in llguidance's Lark (its docs/syntax.md)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from puna.types import Grammar

# With unlimited white space a small model may pad forever; JSON needs only one blank or an indented line.
_SPACE = r"( |\n[ \t]{0,32})?"
_TERMINALS = rf"""SPACE: /{_SPACE}/
BLANK: /\s*/
GAP: /[ \t\r\n]{{0,4}}/
FREE: /[ \t\r\n]*/
ANY: /(?s:.*)/
WORD: /[A-Za-z_][A-Za-z0-9_]{{0,63}}/
"""


class Rules:
    """Rules and their markers. Equal bodies share one rule.

    White space: SPACE within JSON, GAP between a notation's parts, FREE as in JSON, BLANK any. ANY is any
    text.
    """

    def __init__(self) -> None:
        self._markers: list[str] = []
        self._rules: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._schema = ""

    def marker(self, text: str) -> str:
        """`text`, as one token if the vocabulary has it."""
        return f"marker_{self._index(text)}"

    def until(self, text: str, terminal: str = "") -> str:
        """Any text (or a terminal's), up to and including the marker's first occurrence."""
        return f"until_{self._index(text)}" + (f"_{terminal.lower()}" if terminal else "")

    def through(self, text: str) -> str:
        """`until`, where other markers count as text."""
        return f"through_{self._index(text)}"

    def rule(self, stem: str, body: str) -> str:
        return self._named(stem, "", body)

    def terminal(self, stem: str, body: str) -> str:
        """A terminal from literals, regular expressions and terminals; `stem` is in capitals."""
        return self._named(stem, "", body)

    def without(self, *texts: str) -> str:
        """A terminal for any text that contains none of these."""
        return self.terminal("WITHOUT", f"ANY & ~(ANY {literals(texts)} ANY)")

    def head(self, body: str) -> str:
        """A lazy terminal: it ends as soon as it matches, even if text could continue."""
        return self._named("head", "[lazy]", body)

    def content(self, schema: Any) -> str:
        """Content by JSON Schema. The grammar records the rule, to name the schema in errors."""
        self._schema = self.json("format", schema)
        return self._schema

    def json(self, stem: str, schema: Any, *, lenient: bool = False) -> str:
        """A value by JSON Schema. `lenient` ignores unsupported keywords."""
        options: dict[str, Any] = {"whitespace_pattern": _SPACE}
        if lenient:
            options["lenient"] = True
        if not isinstance(schema, dict):
            schema = {"allOf": [schema]}
        return self.rule(stem, "%json " + json.dumps({**schema, "x-guidance": options}))

    def reserve(self, stem: str) -> str:
        """A name for a rule that refers to itself; `define` gives it its body."""
        name = f"{stem}_{len(self._rules)}"
        self._rules[name] = ""
        return name

    def define(self, name: str, body: str) -> None:
        self._rules[name] = body

    def any_of(self, stem: str, bodies: Iterable[str]) -> str:
        return self.rule(stem, " | ".join(dict.fromkeys(bodies)))

    def grammar(self, start: str) -> Grammar:
        lines = [f"start: {start}", *(f"{name}: {body}" for name, body in self._rules.items()), _TERMINALS]
        return Grammar("\n".join(lines), tuple(self._markers), self._schema)

    def _index(self, text: str) -> int:
        if text not in self._markers:
            self._markers.append(text)
        return self._markers.index(text)

    def _named(self, stem: str, options: str, body: str) -> str:
        key = f"{stem}{options}: {body}"
        if key not in self._names:
            self._names[key] = f"{stem}_{len(self._rules)}"
            self._rules[self._names[key] + options] = body
        return self._names[key]


def literal(text: str) -> str:
    """`text` as a Lark string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", r"\u007f")


def literals(texts: Iterable[str]) -> str:
    """Any of `texts`, in parentheses, without duplicates."""
    return "(" + " | ".join(map(literal, dict.fromkeys(texts))) + ")"


def in_json(text: str) -> str:
    """`text` as a JSON string, in a Lark string."""
    return literal(json.dumps(text, ensure_ascii=False))
