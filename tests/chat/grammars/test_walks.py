"""Whatever a grammar admits is read as calls that fit their tools."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import validate

from puna.chat import Called, Content, Part, Thought
from puna.chat.families import FAMILIES
from puna.chat.parsing import Tagged
from puna.types import Message
from tests.chat.families import family as family_called
from tests.chat.families import parser_for, special_tokens

from .asked import held
from .offered import TOOLS, tool
from .walking import walk

MARKED = (
    "{{ range .Messages }}{{ if .ToolCalls }}<call>{{ range .ToolCalls }}{{ . }}{{ end }}{{ end }}{{ end }}"
)
UNHELD = ("plain", "deepseek3.2", "gigachat3.5", "kimi-k3", "minicpm5", "minimax-m3", "plamo3")
NAMES = sorted(family.variants[0].name for family in FAMILIES)
FAMILY = [*((name, "") for name in NAMES if name not in UNHELD), ("generic", ""), ("generic", MARKED)]
SCHEMAS = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in TOOLS}
PYTHON = ("lfm2", "olmo3")
BEGUN = {"glimmer": " to=now<|message|><atem:function_calls>"}
PROMPTS = ("", "<think>\n")

each_family = pytest.mark.parametrize(
    ("family", "template"), FAMILY, ids=[f"{a}{'*' * bool(b)}" for a, b in FAMILY]
)
each_spelling = pytest.mark.parametrize("spelled", ["special", "plain"])


def answers(family: str, template: str, spelled: str, count: int, **asked: Any) -> list[list[Part]]:
    """Random answers, read."""
    begun = asked.pop("begun", False)
    said = {"prompt": asked.pop("prompt", ""), "last": Message(role="user"), "template": template}
    grammar = held(family, **({"tools": TOOLS} | asked), **said)
    control = special_tokens(family, template) if spelled == "special" else frozenset()
    form = family_called(family, template).format
    begin = BEGUN.get(family, "") if begun else ""
    if isinstance(form, Tagged) and begun:
        begin = next(iter(form.calls), '{"name": "now"')
    read: list[list[Part]] = []
    for seed in range(count):
        text = walk(grammar, control, seed, begin if seed % 2 else "", python=family in PYTHON)
        if text is None:
            continue
        reading = parser_for(family, tools=TOOLS, think=None, **said)
        parts = [*reading.feed(text), *reading.finish()]
        for part in parts:
            if isinstance(part, Called):
                validate(part.arguments, SCHEMAS[part.name])
            elif isinstance(part, Content):
                assert not any(marker in part.text for marker in begins(family, template)), (text, parts)
        read.append(parts)
    assert len(read) > count / 3
    return read


def begins(family: str, template: str) -> list[str]:
    """What content may not contain, for it begins a call."""
    form = family_called(family, template).format
    if isinstance(form, Tagged):
        return [marker for marker in form.calls if marker not in ("Action:", "functools")]
    # Glimmer may speak of its notation to others than the tools.
    return [] if family == "glimmer" else ["to=functions"]


@each_family
@each_spelling
def test_required_calls_and_nothing_else(family: str, template: str, spelled: str):
    for prompt in PROMPTS:
        for parts in answers(family, template, spelled, 6, required=True, prompt=prompt):
            calls = [part for part in parts if not isinstance(part, Thought)]
            assert calls
            assert all(isinstance(part, Called) for part in calls), parts


@each_family
@each_spelling
def test_calls_among_text(family: str, template: str, spelled: str):
    called = 0
    for prompt in PROMPTS:
        for parts in answers(family, template, spelled, 6, prompt=prompt, begun=not prompt):
            called += any(isinstance(part, Called) for part in parts)
    assert called


LISTS = {
    "tags": {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 99}, "uniqueItems": True},
    "pair": {
        "type": "array",
        "prefixItems": [{"type": "integer", "minimum": 0, "maximum": 99}, {"type": "boolean"}],
        "items": False,
    },
    "node": {"$ref": "#/$defs/endless"},
    "next": {"$ref": "#/$defs/alias"},
    "tree": {"$ref": "#/$defs/tree"},
}
DEFINITIONS = {
    "endless": {"type": "object", "properties": {"a": {"$ref": "#/$defs/endless"}}, "required": ["a"]},
    "alias": {"$ref": "#/$defs/alias"},
    "tree": {
        "type": "object",
        "properties": {
            "leaf": {"type": "boolean"},
            "below": {"type": "array", "items": {"$ref": "#/$defs/tree"}},
        },
        "required": ["leaf"],
    },
}
ODD = tool("odd", LISTS, "tags", **{"$defs": DEFINITIONS})


@each_family
def test_no_keyword_takes_another_with_it(family: str, template: str):
    """Items stay held beside uniqueItems, places by prefixItems; what can have no end is not begun."""
    made = held(family, tools=[ODD], required=True, template=template)
    ended = 0
    for seed in range(12):
        text = walk(made, special_tokens(family, template), seed)
        if text is None:
            continue
        ended += 1
        reading = parser_for(
            family, tools=[ODD], think=None, prompt="", last=Message(role="user"), template=template
        )
        for part in [*reading.feed(text), *reading.finish()]:
            if isinstance(part, Called):
                assert all(type(one) is int for one in part.arguments["tags"]), text
                assert [type(one) for one in part.arguments.get("pair", ())] in ([], [int], [int, bool]), text
                assert "node" not in part.arguments, text
    assert ended > 4
