"""Answers read, and the tools that their calls are to."""

from __future__ import annotations

from typing import Any

from puna.chat.parsing import Called, Content, Parser, Part, Thought
from puna.types import Message
from tests.chat.families import parser_for
from tests.chat.grammars.offered import tool

from .notations import Call

TOOLS = [
    tool(
        "forecast",
        {
            "zone": {"type": "string"},
            "days": {"type": "integer"},
            "exact": {"type": "number"},
            "brief": {"type": "boolean"},
            "points": {"type": "array", "items": {"type": "number"}},
            "extra": {"anyOf": [{"type": "object"}, {"type": "null"}]},
        },
        "zone",
    ),
    tool("now", {}),
]

FORECAST: Call = (
    "forecast",
    {
        "zone": 'São "東京" {[(<b>\n🌧, \\ it\'s',
        "days": 12345678901234567,
        "extra": {"b": [1, "x", {"c": None}], "a": {}},
        "exact": -0.25,
        "brief": True,
        "points": [1, 2.5, -3],
    },
)
NOW: Call = ("now", {})


def parsed(family: str, *pieces: str, cut: bool = False, **asked: Any) -> list[Part]:
    """The parts of an answer that comes in `pieces`, and may be cut; neighbouring text in one."""
    return merged(fed(parser(family, **asked), *pieces, cut=cut))


def parser(family: str, **asked: Any) -> Parser:
    defaults: dict[str, Any] = {"tools": TOOLS, "think": None, "prompt": "", "last": Message(role="user")}
    return parser_for(family, **(defaults | asked))


def fed(parser: Parser, *pieces: str, cut: bool = False) -> list[Part]:
    return [part for piece in pieces for part in parser.feed(piece)] + parser.finish(cut=cut)


def merged(parts: list[Part]) -> list[Part]:
    result: list[Part] = []
    for part in parts:
        before = result[-1] if result else None
        if isinstance(part, Called) or type(before) is not type(part) or isinstance(before, Called):
            result.append(part)
        else:
            assert before
            result[-1] = type(part)(before.text + part.text)
    return result


def called(*calls: Call) -> list[Part]:
    return [Called(*call) for call in calls]


def content(text: str) -> list[Part]:
    return [Content(text)] if text else []


def thought(text: str) -> list[Part]:
    return [Thought(text)]
