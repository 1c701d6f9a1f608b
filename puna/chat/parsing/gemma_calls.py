"""Gemma's calls: `call:name{key:value,…}`, with strings between special marks."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from .scanner import Malformed, Scanner, Step
from .tagged import CallReader
from .tools import Tools
from .values import items, json_value, scalar

_DEEPEST = 100
_JSON_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)


def gemma_calls(close: str, quote: str) -> CallReader:
    """Reads a call up to `close`; `quote` encloses strings."""

    def read(source: Scanner, tools: Tools) -> Step[None]:
        yield from source.blank()
        yield from source.expect("call:")
        name = (yield from source.word(r"^{}<>\n")).strip()
        if (yield from source.ahead()) != "{":
            raise Malformed
        body, tag = yield from source.until(close, or_end=True)
        while tag and body.count(quote) % 2 and not body.rstrip().endswith("}"):
            # The tag is inside a string.
            more, following = yield from source.until(close, or_end=True)
            body, tag = body + tag + more, following
        source.called(name, _Values(body, quote).whole())
        # Some models close a call twice, or begin the tool result themselves.
        noise = True
        while noise:
            yield from source.blank()
            noise = yield from source.choice(close, "<|tool_response>")

    return read


def unmarked_calls(close: str, quote: str) -> CallReader:
    """Reads a call without its marker, after `call:` (vLLM vllm/tool_parsers/gemma4_utils.py).

    It must name a tool of the request and have its required arguments.
    """

    def read(source: Scanner, tools: Tools) -> Step[None]:
        name = (yield from source.choice(*(name + "{" for name in tools.names)))[:-1]
        if not name:
            raise Malformed
        arguments = _Values("{" + (yield from source.bracketed(opened="{")), quote).whole()
        if not tools.required(name) <= arguments.keys():
            raise Malformed
        source.called(name, arguments)
        yield from source.closer(close)

    return read


@lru_cache
def _followers(quote: str) -> dict[str, re.Pattern[str]]:
    """Patterns of a quote that ends a string, by the closing bracket of the object or list around it."""
    mark = re.escape(quote)
    value = rf"({mark}|[\"'{{\[\d-]|true|false|null)"
    key = rf"({mark}.*?{mark}|\"[^\"]*\"|[^\s:\"'<>{{}}\[\],]+)\s*:\s*{value}"
    end = r"\s*([,}\]]|$)"
    return {
        "}": re.compile(rf"{mark}\s*(,\s*{key}|,?\s*}}{end})"),
        "]": re.compile(rf"{mark}\s*(,\s*{value}|,?\s*\]{end})"),
    }


class _Values:
    """Parses `{key:value,…}` with nested lists and objects. Raises ValueError for anything else."""

    def __init__(self, text: str, quote: str) -> None:
        self._text = text.strip()
        self._quote = quote
        self._at = 0
        self._follows = _followers(quote)

    def whole(self) -> dict[str, Any]:
        found = self._value(0)
        if self._at != len(self._text) or not isinstance(found, dict):
            raise Malformed
        return found

    def _value(self, depth: int, within: str = "") -> Any:
        """A value inside the bracket that `within` closes."""
        if depth > _DEEPEST:
            raise Malformed
        if self._take("{"):
            found: dict[str, Any] = {}
            for _ in items(self._take, "}"):
                key = self._string(":")
                self._mark(":")
                found[key] = self._value(depth + 1, "}")
            return found
        if self._take("["):
            return [self._value(depth + 1, "]") for _ in items(self._take, "]")]
        if self._take(self._quote):
            return self._up_to(self._quote, self._follows.get(within))
        quoted = self._text[self._at : self._at + 1] in ('"', "'")
        text = self._string(",}]")
        return text if quoted else scalar(text)

    def _string(self, until: str) -> str:
        """A quoted string, or a bare one up to one of `until`."""
        if self._take(self._quote):
            return self._up_to(self._quote)
        if found := _JSON_STRING.match(self._text, self._at):
            self._at = found.end()
            return json_value(found.group())
        if self._take("'"):
            return self._up_to("'")
        found = re.compile(f"[^{re.escape(until)}]*").match(self._text, self._at)
        assert found
        self._at = found.end()
        return found.group().strip()

    def _up_to(self, quote: str, follows: re.Pattern[str] | None = None) -> str:
        """A string, which may contain its quote. It ends at the first match of `follows`."""
        end = self._text.find(quote, self._at)
        if end < 0:
            raise Malformed
        found = follows.search(self._text, self._at) if follows else None
        end = found.start() if found else end
        text, self._at = self._text[self._at : end], end + len(quote)
        return text

    def _take(self, text: str) -> bool:
        at = self._at
        while at < len(self._text) and self._text[at].isspace():
            at += 1
        if not self._text.startswith(text, at):
            return False
        self._at = at + len(text)
        if text in "{[:,":
            while self._text[self._at : self._at + 1].isspace():
                self._at += 1
        return True

    def _mark(self, text: str) -> None:
        if not self._take(text):
            raise Malformed
