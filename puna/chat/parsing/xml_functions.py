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
        outer,
        FUNCTION,
        pad,
    )


TOOL_CALL = elements("</tool_call>", pad="\n")


def xml_calls(source: Scanner, tools: Tools, written: Elements = TOOL_CALL) -> Step[None]:
    """Reads calls after `<function=`, and the outer closing tag."""
    return written.calls(source, tools, _name)


def _name(source: Scanner, tools: Tools) -> Step[tuple[str, str]]:
    name = yield from source.word(r"^<>\s")
    yield from source.expect(">")
    return name, ""


def _tagged(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.ahead()) == "{":
        yield from objects(source)
        yield from source.closer("</tool_call>")
    else:
        yield from source.expect(FUNCTION)
        yield from xml_calls(source, tools)


CALLS: dict[str, CallReader] = {"<tool_call>": _tagged, FUNCTION: xml_calls}
