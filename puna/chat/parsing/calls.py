"""Calls as JSON objects and as Python calls, for many families."""

from __future__ import annotations

import json
import re
from typing import Any

from .literals import BEHIND_STRING, Literals
from .scanner import Malformed, Scanner, Step
from .tagged import CallReader, OnCall
from .tools import Tools
from .values import json_value

_NAMES = ("name", "tool_name", "function")
_ARGUMENTS = ("arguments", "parameters")
_BESIDES = {"id", "type", "index", "tool_call_id"}


def named_call(value: Any) -> tuple[str, dict[str, Any]]:
    """The name and arguments in a call's object, under any known keys. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed
    if isinstance(inner := value.get("function"), dict):
        value = inner
    for key in _NAMES:
        if isinstance(name := value.get(key), str) and name.strip():
            break
    else:
        raise Malformed
    given = [other for other in _ARGUMENTS if other in value]
    if not given and value.keys() - {key} - _BESIDES:
        raise Malformed
    arguments = value[given[0]] if given else None
    if isinstance(arguments, str):
        arguments = json_value(arguments) if arguments.strip() else None
    if arguments is None:
        arguments = {}
    if not isinstance(arguments, dict):
        raise Malformed
    return name.strip(), arguments


def after(text: str, read: CallReader) -> CallReader:
    """Reads white space and `text`, then calls as `read` does."""

    def read_after(source: Scanner, tools: Tools) -> Step[None]:
        yield from source.blank()
        yield from source.expect(text)
        yield from read(source, tools)

    return read_after


def json_calls(close: str = "") -> CallReader:
    """Reads objects, in a row or in a list, and an optional `close` after them."""

    def read(source: Scanner, tools: Tools) -> Step[None]:
        yield from objects(source)
        if close:
            yield from source.closer(close)

    return read


def objects(source: Scanner, bracket: str = "") -> Step[None]:
    """Calls as JSON objects, in a list or not; `bracket` is the list's, if it was read."""
    source.certain = True
    yield from source.blank()
    bracket = bracket or (yield from source.choice("["))
    while True:
        yield from source.blank()
        text = yield from source.bracketed()
        source.called(*named_call(json_value(text)))
        yield from source.blank()
        separator = yield from source.choice(*(",", "]") if bracket else (";",))
        if separator == "]" or not (separator or (yield from source.ahead()) == "{"):
            return
        source.drop()
        yield from source.blank()
        # The answer may end with a separator.
        if separator == ";" and (yield from source.ahead()) != "{":
            return


def bare_objects(source: Scanner, tools: Tools, called: OnCall | None = None) -> Step[None]:
    """`objects` without a marker: only calls to the request's tools, because an answer may also be JSON.

    Raises Malformed as soon as an object cannot be a call. `called` gets each call; the default is
    `Scanner.called`.
    """
    # A bracket may also begin another notation's marker.
    begun = yield from source.choice("{", "[{", "[ {", "[\n")
    if not begun:
        raise Malformed
    if begun == "[\n":
        yield from source.blank()
        yield from source.expect("{")
    yield from after_brace(source, tools, called or source.called, begun[0])


def after_brace(source: Scanner, tools: Tools, called: OnCall, begun: str = "{") -> Step[None]:
    """Reads bare objects after the first brace; `begun` is "[" in a list."""
    while True:
        yield from source.blank()
        key = yield from source.choice(
            '"name"', '"type"', '"function"', '"id"', '"arguments"', '"parameters"'
        )
        if not key:
            raise Malformed
        head = "{" + key
        if key == '"name"':
            yield from source.blank()
            yield from source.expect(":")
            yield from source.blank()
            name = yield from source.choice(*(json.dumps(one, ensure_ascii=False) for one in tools.names))
            if not name:
                raise Malformed
            head += ":" + name
            source.certain = True
        rest = yield from source.bracketed(opened="{")
        name, arguments = named_call(json_value(head + rest))
        if name not in tools.names or (not arguments and tools.required(name)):
            raise Malformed
        called(name, arguments)
        yield from source.blank()
        separator = yield from source.choice(*(",", "]") if begun == "[" else (";",))
        if separator == "]" or not (separator or (yield from source.ahead()) == "{"):
            return
        yield from source.blank()
        yield from source.expect("{")


def python_calls(close: str) -> CallReader:
    """Reads `name(key=value, …)`, several in a row or in a list, and an optional `close`."""

    def read(source: Scanner, tools: Tools) -> Step[None]:
        yield from source.blank()
        yield from _python_calls(source, (yield from source.choice("[")))
        yield from source.closer(close)

    return read


def _python_calls(source: Scanner, bracket: str) -> Step[None]:
    while True:
        yield from source.blank()
        name = yield from source.word(r"\w.\-")
        source.called(name, (yield from keywords(source)))
        yield from source.blank()
        separator = yield from source.choice(*(",", "]") if bracket else (",", ";"))
        following = yield from source.ahead()
        if separator == "]" or not (separator or re.match(r"\w", following)):
            return
        source.drop()


def python_or_json_calls(close: str) -> CallReader:
    """Reads either notation."""

    def read(source: Scanner, tools: Tools) -> Step[None]:
        yield from source.blank()
        bracket = yield from source.choice("[")
        yield from source.blank()
        if (yield from source.ahead()) == "{":
            yield from objects(source, bracket)
        else:
            yield from _python_calls(source, bracket)
        yield from source.closer(close)

    return read


def bare_python_calls(source: Scanner, tools: Tools) -> Step[None]:
    """Reads `name(key=value, …), …]` without a marker, after its bracket. Every name must be a tool's."""
    while True:
        yield from source.blank()
        name = yield from source.word(r"\w.\-")
        if name not in tools.names:
            raise Malformed
        source.certain = (yield from source.ahead()) == "("
        source.called(name, (yield from keywords(source)))
        yield from source.blank()
        if (yield from source.choice(",", "]")) != ",":
            break


def keywords(source: Scanner) -> Step[dict[str, Any]]:
    """Reads `(key=value, …)`, with values of Python or JSON."""
    text = yield from source.bracketed("\"'", nested=BEHIND_STRING)
    if not text.startswith("("):
        raise Malformed
    return Literals(text).keywords()
