"""The fields of native requests: every form that Ollama takes, and refusals in its words."""

from __future__ import annotations

import math

import pytest

from puna.inference import grammar
from puna.server.native.requests import MessageBody, Part, message, seconds, thinking
from puna.types import BadRequest, Grammar


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        (0, 0),
        (0.5, 0.5),
        (300, 300),
        (-1, math.inf),
        (-0.5, math.inf),
        ("0", 0),
        ("5m", 300),
        ("1h30m", 5400),
        ("-1s", math.inf),
    ],
)
def test_keep_alive_in_every_form(given: float | str | None, expected: float | None):
    assert seconds(given) == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("300", 'time: missing unit in duration "300"'),
        ("soon", 'time: invalid duration "soon"'),
        ("", 'time: invalid duration ""'),
    ],
)
def test_a_bad_keep_alive_is_refused_in_the_words_of_go(given: str, message: str):
    with pytest.raises(BadRequest) as refusal:
        seconds(given)
    assert str(refusal.value) == message


@pytest.mark.parametrize("level", [None, True, False, "low", "medium", "high", "max"])
def test_thinking_is_asked_for_by_truth_or_level(level: bool | str | None):
    assert thinking(level) == level


def test_an_unknown_level_of_thinking_is_refused():
    with pytest.raises(BadRequest, match='invalid think value: "deep"'):
        thinking("deep")


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_format(nothing: str | None):
    assert grammar(nothing) is None


def test_a_format_is_json_or_a_schema():
    assert grammar("json") == Grammar("json")
    schema = {"type": "object", "required": ["b", "a"]}
    assert grammar(schema) == Grammar("schema", '{"type":"object","required":["b","a"]}')


@pytest.mark.parametrize("nonsense", ["yaml", 5, True, ["json"]])
def test_any_other_format_is_refused(nonsense: object):
    with pytest.raises(BadRequest) as refusal:
        grammar(nonsense)
    assert str(refusal.value) == 'invalid format: expected "json" or a JSON schema'


def test_text_parts_join():
    parts = [Part(type="text", text="one"), Part(type="text", text="two")]
    assert message(MessageBody(role="USER", content=parts)).content == "one\ntwo"
    assert message(MessageBody(role="USER", content=parts)).role == "user"


@pytest.mark.parametrize("kind", ["image", "image_url"])
def test_an_image_part_counts_as_an_image(kind: str):
    parts = [Part(type=kind), Part(type="text", text="what is this?")]
    read = message(MessageBody(role="user", content=parts))
    assert read.content == "what is this?"
    assert len(read.images) == 1


def test_an_unknown_role_is_named():
    with pytest.raises(BadRequest, match='invalid role "wizard"'):
        message(MessageBody(role="wizard"))


def test_an_unknown_part_is_named():
    with pytest.raises(BadRequest, match='invalid content part type "smell"'):
        message(MessageBody(role="user", content=[Part(type="smell")]))
