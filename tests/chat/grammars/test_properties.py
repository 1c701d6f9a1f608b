"""Which arguments there must be together: every notation is held to what a schema says of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chat.parsing.notations import Call
from tests.chat.parsing.written import WRITTEN

from .asked import held
from .offered import tool
from .walking import admitted

UNHELD = ("deepseek3.2", "gigachat3.5", "kimi-k3", "minicpm5", "minimax-m3", "plamo3", "glimmer")
NOTATIONS = {one.family: one for one in reversed(WRITTEN) if one.family not in UNHELD}
INTEGER = {"type": "integer"}
NAMED = dict.fromkeys("abc", INTEGER)
SAID: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "minProperties": ({"minProperties": 2}, ["ab", "bc", "abc"], ["a", ""]),
    "maxProperties": ({"maxProperties": 1}, ["c", ""], ["ab", "abc"]),
    "both": ({"minProperties": 1, "maxProperties": 2}, ["c", "ac"], ["", "abc"]),
    "dependentRequired": ({"dependentRequired": {"a": ["b"]}}, ["ab", "c", ""], ["a", "ac"]),
    "not": ({"not": {"required": ["a", "b"]}}, ["a", "bc", ""], ["ab", "abc"]),
    "if": ({"if": {"required": ["a"]}, "then": {"required": ["b"]}}, ["ab", "c"], ["a", "ac"]),
    "anyOf": ({"anyOf": [{"required": ["a"]}, {"required": ["b"]}]}, ["a", "bc", "ab"], ["c", ""]),
    "oneOf": ({"oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, ["a", "bc"], ["c", "ab"]),
    "allOf": ({"allOf": [{"minProperties": 1}, {"not": {"required": ["c"]}}]}, ["a", "ab"], ["", "ac"]),
}


@pytest.mark.parametrize("family", NOTATIONS)
@pytest.mark.parametrize("said", SAID)
def test_which_there_are_is_held(family: str, said: str):
    more, fitting, others = SAID[said]
    flat = held(family, tools=[tool("f", NAMED, **more)], required=True)
    within = {"o": {"type": "object", "properties": NAMED, **more}}
    nested = held(family, tools=[tool("f", within, "o")], required=True)
    for names, fits in [*((names, True) for names in fitting), *((names, False) for names in others)]:
        call: Call = ("f", dict.fromkeys(names, 1))
        assert admitted(flat, NOTATIONS[family].calls([call])) is fits, names
        assert admitted(nested, NOTATIONS[family].calls([("f", {"o": call[1]})])) is fits, names


@pytest.mark.parametrize("family", NOTATIONS)
def test_of_too_many_choices_the_properties_are_kept(family: str):
    many = {f"p{number}": INTEGER for number in range(12)}
    made = held(family, tools=[tool("f", many, minProperties=6)], required=True)
    assert admitted(made, NOTATIONS[family].calls([("f", dict.fromkeys(many, 1))]))
    assert not admitted(made, NOTATIONS[family].calls([("f", dict.fromkeys(many, "x"))]))
