"""Values as Python writes them."""

from __future__ import annotations

import json
import re
from typing import Any

from .scanner import Malformed
from .values import items, scalar

BEHIND_STRING = ",:)]}"
"""What may follow a string. Before anything else, a quote is part of it, because models forget escapes."""

_STRING = "|".join(rf"""{one}(?:[^{one}\\]|\\.|{one}(?!\s*[],:)}}]))*{one}""" for one in ('"', "'"))
_TOKEN = re.compile(
    rf"""\s*(?:(?P<string>{_STRING})|(?P<mark>[][(){{}},:=])|(?P<word>[^][(){{}},:=\s"']+))""",
    re.DOTALL,
)
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "\n": ""} | {one: one for one in "\\'\"/"}
"""Any other letter keeps its backslash, as in Python."""


def python_value(text: str) -> Any:
    """The value of a whole text. Raises ValueError, RecursionError."""
    literals = Literals(text)
    value = literals.value()
    if literals.rest.strip():
        raise Malformed
    return value


class Literals:
    """Parses the beginning of a text. Raises ValueError for anything else."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    @property
    def rest(self) -> str:
        return self._text[self._at :]

    def keywords(self) -> dict[str, Any]:
        """The arguments of a call, in parentheses."""
        found: dict[str, Any] = {}
        self._mark("(")
        for _ in items(self._next, ")"):
            key = self._token("word")
            self._mark("=")
            found[key] = self.value()
        return found

    def value(self) -> Any:
        """A value: a list, a mapping, a string, a number or a word."""
        if self._next("["):
            return [self.value() for _ in items(self._next, "]")]
        if self._next("("):
            return [self.value() for _ in items(self._next, ")")]
        if self._next("{"):
            return self._mapping()
        found = self._peek()
        if found.lastgroup == "string":
            self._at = found.end()
            return _unescape(found["string"][1:-1])
        return scalar(self._token("word"))

    def _mapping(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for _ in items(self._next, "}"):
            key = self.value()
            self._mark(":")
            found[key if isinstance(key, str) else json.dumps(key)] = self.value()
        return found

    def _peek(self) -> re.Match[str]:
        if found := _TOKEN.match(self._text, self._at):
            return found
        raise Malformed

    def _next(self, mark: str) -> bool:
        found = self._peek()
        if found["mark"] != mark:
            return False
        self._at = found.end()
        return True

    def _mark(self, mark: str) -> None:
        if not self._next(mark):
            raise Malformed

    def _token(self, group: str) -> str:
        found = self._peek()
        if found.lastgroup != group:
            raise Malformed
        self._at = found.end()
        return found[group]


def _unescape(text: str) -> str:
    def plain(escape: re.Match[str]) -> str:
        code = escape[1]
        return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPED.get(code, escape[0])

    text = _ESCAPE.sub(plain, text)
    # Join surrogate pairs; a lone surrogate cannot be encoded.
    return text.encode("utf-16", "surrogatepass").decode("utf-16")
