"""Arguments in nested tags, as MiniMax-M3 writes them: their types are those of the tool's schema."""

from __future__ import annotations

from typing import Any

import pytest

from puna.chat.parsing import Content
from tests.chat.grammars.offered import tool

from .reading import called, parsed

SPACE = "]<]minimax[>["
TOOLS = [
    tool(
        "plan",
        {
            "title": {"type": "string"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "boolean"}]},
            "steps": {"type": "array", "items": {"$ref": "#/$defs/step"}},
            "first": {"$ref": "#/$defs/step"},
            "shelf": {"type": "object", "properties": {"item": {"type": "integer"}}},
        },
        "title",
        **{
            "$defs": {
                "step": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "hours": {"type": ["number", "null"]}},
                }
            }
        },
    )
]


def calling(inner: str) -> str:
    """A call with this in it, where `<` begins every tag."""
    body = inner.replace("<", f"{SPACE}<")
    return f'{SPACE}<tool_call>\n{SPACE}<invoke name="plan">{body}{SPACE}</invoke>\n{SPACE}</tool_call>'


@pytest.mark.parametrize(
    ("inner", "arguments"),
    [
        ("", {}),
        ("<title>12</title>", {"title": "12"}),
        ("<title> a\n > b\n</title>", {"title": " a\n > b\n"}),
        ("<title></title><tags></tags><first></first>", {"title": "", "tags": [], "first": {}}),
        ("<tags><item>1</item><item></item></tags>", {"tags": ["1", ""]}),
        ("<pair><item>1</item><item>true</item></pair>", {"pair": [1, True]}),
        (
            "<steps>\n<item><name>7</name><hours>7</hours></item>\n<item><hours>null</hours></item></steps>",
            {"steps": [{"name": "7", "hours": 7}, {"hours": None}]},
        ),
        ("<shelf><item>3</item></shelf>", {"shelf": {"item": 3}}),
        ('<shelf>{"item": 3}</shelf>', {"shelf": {"item": 3}}),
        ("<more><item>3</item></more><other><a>3</a></other>", {"more": ["3"], "other": {"a": "3"}}),
    ],
)
def test_values_have_the_schemas_types(inner: str, arguments: dict[str, Any]):
    text = calling(inner)
    assert parsed("minimax-m3", text, tools=TOOLS) == called(("plan", arguments))
    assert parsed("minimax-m3", *text, tools=TOOLS) == called(("plan", arguments))


@pytest.mark.parametrize(
    "inner",
    ["<title>a</tags>", "<title>a", "text", "<>a</>", "<a>" * 200 + "</a>" * 200],
    ids=["another end", "no end", "text", "no name", "too deep"],
)
def test_what_does_not_nest_is_text(inner: str):
    text = calling(inner)
    assert parsed("minimax-m3", text, tools=TOOLS) == [Content(text)]
    assert parsed("minimax-m3", *text, tools=TOOLS) == [Content(text)]
