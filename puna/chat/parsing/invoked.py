"""Calls in XML, in the notation that several families share.

`<invoke name="f"><parameter name="k">v</parameter>…</invoke>`, with a prefix to the tags' names or without.
"""

from __future__ import annotations

import re
from typing import Any

from .source import Malformed, Source, Step
from .tagged import Reading
from .tools import Tools
from .values import json_value

_NAMED = re.compile(r'\s*name="([^"]*)"(?:\s+string="(true|false)")?\s*')


def invocations(close: str, prefix: str = "") -> Reading:
    """Reads one call or more, whose tags' names begin with `prefix`, and `close` if it is there."""
    invoke, parameter = f"<{prefix}invoke", f"<{prefix}parameter"
    end, parameter_end = f"</{prefix}invoke>", f"</{prefix}parameter>"

    def read(source: Source, tools: Tools) -> Step[None]:
        yield from source.blank()
        yield from source.expect(invoke)
        while True:
            name, _ = yield from _attributes(source)
            arguments: dict[str, Any] = {}
            while True:
                yield from source.blank()
                tag = yield from source.choice(parameter, end)
                if tag != parameter:
                    break
                key, is_text = yield from _attributes(source)
                value, _ = yield from source.until(parameter_end)
                arguments[key] = _typed(tools, name, key, value, is_text)
            if not tag:
                raise Malformed
            source.called(name, arguments)
            yield from source.blank()
            if not (yield from source.choice(invoke)):
                break
        yield from source.closer(close)

    return read


def _attributes(source: Source) -> Step[tuple[str, str]]:
    """A tag's `name`, and its `string` if it has one."""
    found = _NAMED.fullmatch((yield from source.until(">"))[0])
    if not found or not found[1].strip():
        raise Malformed
    return found[1].strip(), found[2] or ""


def _typed(tools: Tools, name: str, key: str, value: str, is_text: str) -> Any:
    """DeepSeek says of a value whether it is text; else the tool's schema gives it a type."""
    if is_text == "true":
        return value
    found = tools.typed(name, key, value)
    if is_text and found == value:
        try:
            return json_value(value)
        except (ValueError, RecursionError):
            return value
    return found
