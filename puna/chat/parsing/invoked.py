"""Calls in XML, for several families.

`<invoke name="f"><parameter name="k">v</parameter>…</invoke>`, optionally with a prefix of the tags' names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .calls import after
from .elements import Argument, Elements, by_schema, by_statement
from .scanner import Malformed, Scanner, Step
from .tagged import CallReader
from .tools import Tools

_TAG = re.compile(r'\s*name="([^"]*)"(?:\s+string="(true|false)")?\s*')

Correction = Callable[[Tools, str, dict[str, Any]], dict[str, Any]]
"""Corrects the arguments of a call to the named tool."""


def elements(outer: str, prefix: str = "") -> Elements:
    """The notation within the tag that `outer` closes, with `prefix` before the tags' names."""
    parameter, invoke = f"{prefix}parameter", f"{prefix}invoke"
    return Elements(f"<{parameter}", _TAG, f"</{parameter}>", f"</{invoke}>", outer, f"<{invoke}")


def invocations(close: str, prefix: str = "", correct: Correction | None = None) -> CallReader:
    """Reads calls with `prefix` in their tags' names, and an optional `close`."""
    written = elements(close, prefix)
    return after(written.another, _reader(written, correct))


def offered_invocations(close: str, prefix: str = "", correct: Correction | None = None) -> CallReader:
    """The same after `<invoke`, without the tag around all calls.

    They must name tools of the request and have their required arguments.
    """
    return _reader(elements(close, prefix), correct, offered=True)


def _reader(written: Elements, correct: Correction | None, *, offered: bool = False) -> CallReader:
    def read(source: Scanner, tools: Tools) -> Step[None]:
        def called(name: str, arguments: dict[str, Any]) -> None:
            given = correct(tools, name, arguments) if correct else arguments
            if offered and not tools.required(name) <= given.keys():
                raise Malformed
            source.called(name, given)

        read_name = _offered_name if offered else _name
        yield from written.calls(source, tools, read_name, called=called, typed=_typed_value)

    return read


def _name(source: Scanner, tools: Tools) -> Step[tuple[str, str]]:
    tag = _TAG.fullmatch((yield from source.until(">"))[0])
    if not tag or not (name := tag[1].strip()):
        raise Malformed
    return name, ""


def _offered_name(source: Scanner, tools: Tools) -> Step[tuple[str, str]]:
    name, begun = yield from _name(source, tools)
    if name not in tools.names:
        raise Malformed
    return name, begun


def _typed_value(tools: Tools, name: str, argument: Argument) -> Any:
    """A typed value. DeepSeek states which values are text; otherwise the tool's schema decides."""
    if stated := argument.tag[2]:
        return by_statement(tools, name, argument, is_text=stated == "true")
    return by_schema(tools, name, argument)
