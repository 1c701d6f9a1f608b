"""Calls in XML, for several families.

`<invoke name="f"><parameter name="k">v</parameter>…</invoke>`, optionally with a prefix of the tags' names.
"""

from __future__ import annotations

import re
from typing import Any

from .elements import Argument, Elements
from .scanner import Malformed, Scanner, Step
from .tagged import CallReader
from .tools import Tools
from .values import json_value

_TAG = re.compile(r'\s*name="([^"]*)"(?:\s+string="(true|false)")?\s*')


def elements(outer: str, prefix: str = "") -> Elements:
    """The notation within the tag that `outer` closes, with `prefix` before the tags' names."""
    parameter, invoke = f"{prefix}parameter", f"{prefix}invoke"
    return Elements(f"<{parameter}", _TAG, f"</{parameter}>", f"</{invoke}>", (outer, f"<{invoke}"))


def invocations(close: str, prefix: str = "") -> CallReader:
    """Reads calls with `prefix` in their tags' names, and an optional `close`."""
    written = elements(close, prefix)
    _, invoke = written.followers

    def read(source: Scanner, tools: Tools) -> Step[None]:
        yield from source.blank()
        yield from source.expect(invoke)
        follower = invoke
        while follower == invoke:
            tag = _TAG.fullmatch((yield from source.until(">"))[0])
            if not tag or not (name := tag[1].strip()):
                raise Malformed
            given, follower = yield from written.arguments(
                source, tools.parameters(name), tools.required(name)
            )
            source.called(name, {one.tag[1].strip(): _typed(tools, name, one) for one in given})
            if not follower:
                yield from source.blank()
                follower = yield from source.choice(invoke)
        if not follower:
            yield from source.closer(close)

    return read


def _typed(tools: Tools, name: str, argument: Argument) -> Any:
    """A typed value. DeepSeek marks text values; otherwise the tool's schema decides."""
    (key, is_text), text = argument.tag.groups(""), argument.text
    if is_text == "true":
        return text
    found = tools.typed(name, key.strip(), text)
    if is_text and found == text:
        try:
            return json_value(text)
        except (ValueError, RecursionError):
            return text
    return found
