"""Calls as `<function=f><parameter=k>v</parameter></function>`, as Qwen3-Coder and others write them.

A call is in `<tool_call>` tags, the first of which may be missing. Values are plain text, typed by the tool's
schema.
"""

from __future__ import annotations

import re
from typing import Literal

from .calls import objects
from .elements import Elements
from .scanner import Scanner, Step
from .tagged import CallReader
from .tools import Tools

FUNCTION = "<function="


def elements(outer: str, pad: Literal["", "\n"] = "") -> Elements:
    """The notation within the tag that `outer` closes."""
    return Elements(
        "<parameter=",
        re.compile(r"\s*([^\s](?:.*[^\s])?)\s*"),
        "</parameter>",
        "</function>",
        (outer, FUNCTION),
        pad,
    )


TOOL_CALL = elements("</tool_call>", pad="\n")


def xml_calls(source: Scanner, tools: Tools, written: Elements = TOOL_CALL) -> Step[None]:
    """Reads calls after `<function=`, and the outer closing tag."""
    follower = FUNCTION
    while follower == FUNCTION:
        name = yield from source.word(r"^<>\s")
        yield from source.expect(">")
        given, follower = yield from written.arguments(source, tools.parameters(name), tools.required(name))
        source.called(name, {(key := one.tag[1]): tools.typed(name, key, one.text) for one in given})
        if not follower:
            yield from source.blank()
            follower = yield from source.choice(FUNCTION)
    if not follower:
        yield from source.closer(written.followers[0])


def _tagged(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.ahead()) == "{":
        yield from objects(source)
        yield from source.closer("</tool_call>")
    else:
        yield from source.expect(FUNCTION)
        yield from xml_calls(source, tools)


def _untagged(source: Scanner, tools: Tools) -> Step[None]:
    yield from xml_calls(source, tools)


CALLS: dict[str, CallReader] = {"<tool_call>": _tagged, FUNCTION: _untagged}
