"""Values between tags that have tags in them, and tags that models leave out."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from puna.chat.parsing import Called, Content
from tests.chat.grammars.offered import WRITE

from .notations import ENCLOSED, Call
from .reading import called, fed, parsed, parser

TOOLS = [WRITE]
TAGS = [
    "</parameter>",
    "<parameter>1</parameter>",
    "<parameter=",
    "<parameter=other>",
    "<parameter=path>",
    "<parameter=text>",
    '<parameter name="other">',
    '<parameter name="path">',
    '<atem:parameter name="other">',
    '<atem:parameter name="text">',
    "</function>",
    "</invoke>",
    "</atem:invoke>",
    "</arg_value>",
    "<arg_value>",
    "<arg_key>",
    "<arg_key>path</arg_key>",
    "</arg_key>",
    "<function=",
    "</",
    "<",
]

FOLLOWS = re.compile(
    r"</(atem:)?parameter>\s*<(/function|/?(atem:)?invoke|(atem:)?parameter[= ])|</function>\s*<function="
    r"|</arg_value>\s*(path|text)?<(/?arg_key)>"
)
"""What follows a value in one of the families: of a value with that in it nobody can tell where it ends."""

each_family = pytest.mark.parametrize("family", ENCLOSED)


def read(family: str, text: str) -> list[Any]:
    whole = parsed(family, text, tools=TOOLS)
    assert parsed(family, *text, tools=TOOLS) == whole
    return whole


@each_family
@pytest.mark.parametrize("tag", TAGS)
def test_a_value_may_have_tags_in_it(family: str, tag: str):
    write, _ = ENCLOSED[family]
    for value in (tag, f"a {tag} b", f"{tag}\n{tag} b", f"a\n{tag}{tag} {tag}\nb"):
        for arguments in (
            {"path": value, "text": "x"},
            {"path": "x", "text": value, "mode": 4},
            {"text": value, "path": "x"},
        ):
            assert read(family, write([("write", arguments)])) == called(("write", arguments)), value


@each_family
def test_the_tag_behind_a_value_may_be_missing(family: str):
    write, close = ENCLOSED[family]
    calls: list[Call] = [
        ("write", {"path": "a/b", "text": "x\n\n<y>", "mode": 4}),
        ("write", {"mode": 4, "path": "", "text": "1 < 2\n</"}),
    ]
    text = write(calls)
    for without in (text.replace(close, ""), text.replace(close, "", 1), text.replace(close, "", 2)):
        read_back = read(family, without)
        assert [part for part in read_back if isinstance(part, Content)] == [], without
        for part, (name, arguments) in zip(read_back, calls, strict=True):
            assert isinstance(part, Called)
            assert part.name == name
            # Of the line breaks that then stand before the next tag, one may stay.
            read_text = {key: str(value).removesuffix("\n") for key, value in part.arguments.items()}
            assert read_text == {key: str(value) for key, value in arguments.items()}
            assert part.arguments["mode"] == 4


@pytest.mark.parametrize(
    ("inner", "arguments"),
    [
        ("path>\na\n<parameter=mode>\n4\n<parameter=text>\nb\n", {"path": "a", "mode": 4, "text": "b"}),
        ("path>a<parameter=text>b", {"path": "a", "text": "b"}),
        ("path>\n\n<parameter=text>\nb\n</parameter>", {"path": "", "text": "b"}),
        ("text>\na <parameter=mode> b\n", {"text": "a <parameter=mode> b"}),
        ("text>\n<parameter=mode>\n4\n", {"text": "<parameter=mode>\n4"}),
        ("text>\na\n<parameter=mode>\n<parameter=mode>\n4\n", {"text": "a", "mode": "<parameter=mode>\n4"}),
    ],
)
def test_where_the_tag_of_a_parameter_ends_a_value_without_its_own(inner: str, arguments: dict[str, Any]):
    text = f"<tool_call>\n<function=write>\n<parameter={inner}</function>\n</tool_call>"
    assert read("qwen3-coder", text) == called(("write", arguments))


@each_family
def test_a_call_is_out_before_the_next_begins(family: str):
    write, close = ENCLOSED[family]
    whole = write([("write", {"path": "a", "text": "b"})])
    # Without its closing tag, GLM's value has ended for certain only at the next call.
    for text in (whole,) if close.startswith("</arg_value") else (whole, whole.replace(close, "")):
        reading = parser(family, tools=TOOLS)
        parts = [part for letter in text for part in reading.feed(letter)]
        assert any(isinstance(part, Called) for part in parts)


@given(
    family=st.sampled_from([*ENCLOSED]),
    values=st.lists(
        st.lists(st.one_of(st.sampled_from(TAGS), st.text("ab \n<>/=", max_size=4)), max_size=6).map("".join),
        min_size=2,
        max_size=2,
    ),
)
@settings(max_examples=400, deadline=None)
def test_values_come_back_as_they_were_written(family: str, values: list[str]):
    write, _ = ENCLOSED[family]
    assume(not any(FOLLOWS.search(value) for value in values))
    arguments = {key: f"[{value}]" for key, value in zip(("path", "text"), values, strict=True)}
    text = write([("write", arguments)])
    assert parsed(family, text, tools=TOOLS) == called(("write", arguments))
    assert parsed(family, *text, tools=TOOLS) == called(("write", arguments))


@each_family
def test_a_value_without_end_is_text_as_it_came(family: str):
    write, close = ENCLOSED[family]
    text = write([("write", {"path": "a", "text": "b"})])
    begun = text[: text.rindex("b")]
    for end in ("b", f"b\n{close}\nand more", f"b{close}{close[:-2]}"):
        said = [part for part in read(family, begun + end) if not isinstance(part, Content)]
        assert said == []


@each_family
@pytest.mark.parametrize("tag", TAGS)
def test_work_is_linear(family: str, tag: str):
    write, _ = ENCLOSED[family]
    text = write([("write", {"path": "a", "text": f"{tag} \n" * 1500})])
    reading = parser(family, tools=TOOLS)
    assert len([part for part in fed(reading, *text) if isinstance(part, Called)]) == 1
    assert reading.source.work < 60 * len(text)


@pytest.mark.parametrize("family", ["glm", "laguna"])
@pytest.mark.parametrize("behind", ["", "Done.", "and </tool_call> again"])
def test_the_end_of_a_call_within_a_value_is_text(family: str, behind: str):
    calls: list[Call] = [("write", {"text": "a </tool_call> b\n</tool_call>!"}), ("write", {"path": "p"})]
    text = f"{ENCLOSED[family][0](calls)}\n{behind}"
    read_back = read(family, text)
    assert [part for part in read_back if isinstance(part, Called)] == [Called(*call) for call in calls]
    assert "".join(part.text for part in read_back if isinstance(part, Content)).strip() == behind
    # Where a closing tag was left out it is the call's end.
    first = read(family, text.replace("</arg_value>", ""))[0]
    assert isinstance(first, Called)
    assert first.arguments["text"] == "a "
