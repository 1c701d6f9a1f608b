"""GLM's calls: `f<arg_key>k</arg_key><arg_value>v</arg_value>…` up to a closing tag.

Values are plain text, typed by the tool's schema. Models omit tags, so the parser also infers keys and values
from the text between tags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .calls import bare_objects, objects
from .scanner import Malformed, Scanner, Step
from .tagged import CallReader
from .tools import Tools
from .values import json_object

KEY, KEY_END = "<arg_key>", "</arg_key>"
VALUE, VALUE_END = "<arg_value>", "</arg_value>"


def keyed_calls(end: str, *, declared: bool = False) -> CallReader:
    """Reads a call up to its closing tag; with `declared`, only a call to a tool of the request."""

    def read(source: Scanner, tools: Tools) -> Step[None]:
        yield from source.blank()
        if (yield from source.ahead()) == "{":
            yield from (bare_objects(source, tools) if declared else objects(source))
            yield from source.closer(end)
            return
        name = yield from source.word(r"\w.\-")
        if declared and name not in tools.names:
            raise Malformed
        yield from source.blank()
        if (yield from source.ahead()) == "{":
            source.called(name, json_object((yield from source.bracketed())))
            yield from source.closer(end)
            return
        source.called(name, (yield from _arguments(source, tools, name, end)))

    return read


def _arguments(source: Scanner, tools: Tools, name: str, end: str) -> Step[dict[str, Any]]:
    found: dict[str, Any] = {}
    before, tag = yield from source.until(KEY, KEY_END, VALUE, end, or_end=True)
    while tag not in (end, ""):
        if tag == KEY:
            before, tag = yield from source.until(KEY_END, VALUE, end)
        if tag == end:
            raise Malformed
        key, opened = before.strip(), tag == VALUE
        if tag == KEY_END:
            yield from source.blank()
            opened = bool((yield from source.choice(VALUE)))
        typed = partial(_typed_value, tools, name, key)
        declared = tools.parameters(name)
        left = [one for one in declared if one not in found and one != key]
        text, before, tag = yield from _value(source, declared, left, end, typed)
        if not (opened or text.strip()):
            raise Malformed
        found[key] = typed(text)
    if before.strip():
        raise Malformed
    # At the answer's end the outer tag may be missing, but no required argument.
    if not tag and (source.cut or name not in tools.names or not tools.required(name) <= found.keys()):
        raise Malformed
    return found


def _typed_value(tools: Tools, name: str, key: str, text: str) -> Any:
    return tools.typed_value(name, key, text.removeprefix("\n").removesuffix("\n"))


_Ended = tuple[str, str, str]
"""A value, the next key if one of their tags is missing, and the tag after both ("" at the answer's end)."""


def _value(
    source: Scanner, declared: Sequence[str], left: Sequence[str], end: str, typed: Callable[[str], Any]
) -> Step[_Ended]:
    """Reads a value.

    A value may contain tags: its closing tag ends it only before a key or the call's end. Without a closing
    tag, two tags end it: that of a key in `left` whose value follows, and the call's end. The latter requires
    that the value is not a string, or that no closing tag comes before the next call.
    """
    begin = source.mark
    while True:
        _, tag = yield from source.until(VALUE_END, KEY, end)
        text = partial(source.between, begin, source.mark - 1)
        if tag == KEY:
            if key := (yield from _key(source, left)):
                return text(), key, VALUE
        elif tag == end and not isinstance(typed(text()), str):
            return text(), "", end
        elif tag == end:
            return (yield from _string(source, begin, declared, end))
        elif following := (yield from _following(source, declared, end)):
            return text(), *following
        elif source.ended:
            if (yield from source.choice("</")):
                yield from source.closer(end.removeprefix("</"))
            if not (yield from source.ahead()):
                return text(), "", ""


def _string(source: Scanner, begin: int, declared: Sequence[str], end: str) -> Step[_Ended]:
    """Reads the rest of a string after the first tag `end`, which ends it unless a closing tag does."""
    mark, text = source.mark, source.between(begin, source.mark - 1)
    opening = end.replace("</", "<")
    while True:
        _, tag = yield from source.until(VALUE_END, opening, end, or_end=True)
        if tag in (opening, ""):
            source.rewind(mark)
            return text, "", end
        longer = partial(source.between, begin, source.mark - 1)
        if tag == VALUE_END and (following := (yield from _following(source, declared, end))):
            return longer(), *following


def _following(source: Scanner, declared: Sequence[str], end: str) -> Step[tuple[str, str] | None]:
    """Reads what may follow a closing tag: a key if its tag is missing, and a tag. None for neither."""
    yield from source.blank()
    tag = yield from source.choice(KEY, end, *(key + KEY_END for key in declared))
    if tag.endswith(KEY_END):
        return tag.removesuffix(KEY_END), KEY_END
    return ("", tag) if tag else None


def _key(source: Scanner, names: Sequence[str]) -> Step[str]:
    """Reads one of these keys up to its value, after its tag; "" for none."""
    yield from source.blank()
    key = (yield from source.choice(*names)) if names else ""
    if not key:
        return ""
    yield from source.blank()
    if (yield from source.choice(KEY_END)):
        yield from source.blank()
    return key if (yield from source.choice(VALUE)) else ""
