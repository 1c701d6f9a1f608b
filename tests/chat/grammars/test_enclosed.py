"""Values between tags: what the sampler admits is what the parser reads, tags left out and tags within."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chat.families import special_tokens
from tests.chat.parsing.notations import ENCLOSED
from tests.chat.parsing.reading import called, parsed

from .asked import held
from .offered import WRITE, tool
from .test_patterns import WRITTEN
from .walking import admitted

each_family = pytest.mark.parametrize("family", ENCLOSED)


def holds(family: str, given: dict[str, Any], arguments: dict[str, Any], without: str = "") -> bool:
    """Whether the call is admitted, however its markers are spelled; if so, it is read as it was meant."""
    write, _ = ENCLOSED[family]
    text = write([(given["function"]["name"], arguments)])
    text = text.replace(without, "") if without else text
    grammar = held(family, tools=[given])
    spelled = {admitted(grammar, text, control) for control in ((), special_tokens(family))}
    assert len(spelled) == 1, text
    if (admits := spelled.pop()) and not without:
        assert parsed(family, text, tools=[given]) == called((given["function"]["name"], arguments))
    return admits


@each_family
@pytest.mark.parametrize(
    "value",
    [
        *("a <b> c", "<parameter>1</parameter>", "x</parameter> y", "</", "<function"),
        *("<parameter=path>", "a <parameter=text>\nb", '<parameter name="path">', "a <parameter=mode> b"),
        *("<arg_key>", "<arg_key>path</arg_key>", "a</arg_value> <arg_value>b", "x</arg_key>"),
    ],
)
def test_a_value_may_have_tags_in_it(family: str, value: str):
    assert holds(family, WRITE, {"path": value, "text": f"[{value}\n]", "mode": 4})
    assert holds(family, WRITE, {"mode": 4, "text": value, "path": "x"})


@each_family
def test_the_tag_behind_a_value_may_be_missing(family: str):
    _, close = ENCLOSED[family]
    assert holds(family, WRITE, {"path": "a/b", "text": "x\n<y>", "mode": 4}, without=close)
    assert holds(family, WRITE, {"mode": 4, "path": "a/b", "text": "x\n<y>"}, without=close)
    assert not holds(family, WRITE, {"mode": 4, "path": "a/b"}, without=close)


@each_family
@pytest.mark.parametrize("word", ["true", "True", "false", "False"])
def test_a_truth_value_may_be_pythons(family: str, word: str):
    given = tool("f", {"s": {"type": "boolean"}}, "s")
    text = ENCLOSED[family][0]([("f", {"s": "WORD"})]).replace("WORD", word)
    assert admitted(held(family, tools=[given]), text)
    assert parsed(family, text, tools=[given]) == called(("f", {"s": word.lower() == "true"}))


@each_family
@pytest.mark.parametrize("pattern", [*WRITTEN, r"^\/[a-z/]+$|^$"])
def test_values_are_held_to_patterns(family: str, pattern: str):
    given = tool("f", {"s": {"type": "string", "pattern": pattern}}, "s")
    fitting, others = WRITTEN.get(pattern, (["/a/b", ""], ["a/b", "/"]))
    # A line break around a value may be layout, so none is admitted there where a value is held to anything.
    assert all(holds(family, given, {"s": text}) for text in fitting if text.strip("\n") == text)
    assert not any(holds(family, given, {"s": text}) for text in others)


@each_family
def test_all_that_is_said_of_a_text_holds(family: str):
    least, most = {"type": "string", "minLength": 2}, {"pattern": r"^(?=.*\p{Lu})", "maxLength": 4}
    given = tool("f", {"s": {"allOf": [least, {"pattern": "a"}, most]}}, "s")
    assert holds(family, given, {"s": "aÉ"})
    for text in ("a", "aé", "bÉ", "aaaaÉ"):
        assert not holds(family, given, {"s": text}), text


@each_family
def test_arguments_of_which_there_are_several_kinds(family: str):
    one = {"type": "object", "properties": {"n": {"$ref": "#/$defs/n"}}, "required": ["n"]}
    other = {"type": "object", "properties": {"s": {"type": "string"}}, "required": ["s"]}
    parameters = {"anyOf": [one, other], "$defs": {"n": {"allOf": [{"type": "integer"}], "minimum": 3}}}
    given = {"type": "function", "function": {"name": "either", "parameters": parameters}}
    assert holds(family, given, {"n": 4})
    assert holds(family, given, {"s": "four"})
    assert not holds(family, given, {"n": "four"})
    assert not holds(family, given, {"n": 2})
    assert not holds(family, given, {})


@each_family
@pytest.mark.parametrize("reference", ["#/$defs/Only%3Cint%3E", "#whole", "Whole"])
def test_references_of_every_kind(family: str, reference: str):
    whole = {"$id": "Whole", "$anchor": "whole", "type": "integer"}
    given = tool("f", {"n": {"$ref": reference}}, "n", **{"$defs": {"Only<int>": whole}})
    assert holds(family, given, {"n": 4})
    assert not holds(family, given, {"n": "four"})


@each_family
def test_parameters_of_any_type(family: str):
    given = tool("take", {"a": {}, "b": True, "c": {"description": "x"}, "d": {"items": {"type": "integer"}}})
    for value in (4, "four", {"a": [1]}, [True], None):
        assert holds(family, given, {"a": value, "b": value, "c": value})
    assert holds(family, given, {"d": [1]})


@each_family
@pytest.mark.parametrize(
    "schema",
    [
        {"type": ["string", "integer"]},
        {"type": ["number", "string", "null"]},
        {"anyOf": [{"type": "number"}, {"type": "string"}]},
        {"oneOf": [{"$ref": "#/$defs/n"}, {"type": "string"}, {"type": "boolean"}]},
    ],
)
def test_a_string_may_begin_as_a_number(family: str, schema: dict[str, Any]):
    given = tool("f", {"v": schema, "w": {"type": "string"}}, "v", **{"$defs": {"n": {"type": "integer"}}})
    for value in ("2025-01-01", "10px", "-v", "007", 10, -3, "ten"):
        assert holds(family, given, {"v": value, "w": "x"})
        assert holds(family, given, {"w": "x", "v": value})
    bounded = tool("f", {"v": {"anyOf": [{"type": "string"}, {"type": "integer", "minimum": 3}]}}, "v")
    assert holds(family, bounded, {"v": 3})
    assert not holds(family, bounded, {"v": 2})


@each_family
def test_very_many_parameters(family: str):
    given = tool(
        "many", {f"p{n}": {"type": "string"} for n in range(20)}, *(f"p{n}" for n in range(0, 20, 4))
    )
    assert holds(family, given, {f"p{n}": "x" for n in (19, 0, 4, 5, 8, 12, 16)})
    assert not holds(family, given, {f"p{n}": "x" for n in (0, 4, 8, 12)})
    all_of_them = tool("all", {f"p{n}": {"type": "string"} for n in range(9)}, *(f"p{n}" for n in range(9)))
    assert holds(family, all_of_them, {f"p{n}": "x" for n in range(9)})
