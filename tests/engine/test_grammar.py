"""What a sampler is held to, from the marker's spelling to a model of random weights."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator, validate
from msgspec.structs import replace

from puna.chat import Called
from puna.engine import grammar
from puna.engine.grammar import Grammars
from puna.errors import BadRequest
from puna.options import Options
from puna.types import Grammar, Job, Message
from tests.chat.families import parser_for, special_tokens
from tests.chat.grammars.asked import held
from tests.chat.grammars.offered import NOW, TOOLS, tool
from tests.chat.grammars.walking import Bytes
from tests.model_parts import FIRST_BYTE
from tests.models import shape_model

from .asking import Answer, ask, loaded, told
from .asking import job as plain_job
from .looped import SCHEMA, Asked
from .schemas import SCHEMAS

CLOSED = [
    NOW,
    tool(
        "get-it",
        {
            "kind": {"type": "string", "enum": ["it's", 'a "b"']},
            "count": {"type": "integer", "minimum": -9, "maximum": 99},
            "deep": {
                "type": "object",
                "properties": {"list": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}},
                "required": ["list"],
            },
            "also": {"type": ["boolean", "null"]},
        },
        "kind",
        "deep",
    ),
]
"""Tools without free text, which random weights would not end."""
CALL = Grammar('start: (until_0 "{}" marker_1)* text', ("<call>", "</call>"))
ENDINGS = {FIRST_BYTE + ord(char): bias for char, bias in zip('"}] ', (6.0, 5.0, 5.0, -3.0), strict=True)}
"""Makes random weights come to an end."""


@pytest.mark.parametrize("kind", ["control", "word", "letters", "half a word"])
def test_a_marker_is_found_however_the_vocabulary_spells_it(kind: str):
    control = ["<call>", "</call>", "<other>"] if kind == "control" else ["<other>"]
    words = {"word": ["<call>", "</call>"], "half a word": ["x<ca", "ll>{", "}</"]}.get(kind, [])
    vocabulary = Bytes(control, words)

    def accepts(*pieces: str) -> bool:
        matcher = Grammars(vocabulary).matcher(CALL)
        for piece in pieces:
            known = piece.encode() in vocabulary.tokens
            for token in [vocabulary.tokens.index(piece.encode())] if known else list(piece.encode()):
                if not matcher.allows(token):
                    return False
        return matcher.allows(vocabulary.end)

    assert accepts("some <cal", "text <", "other>", "<other>")
    assert accepts("text ", "<call>", "{}", "</call>", " text ", "<call>", "{}", "</call>")
    assert accepts("te", "x<ca", "ll>{", "}</", "call>")
    assert accepts("<other>", "<", "call>", "{}</ca", "ll>", "<other>", "!")
    assert not accepts("text ", "<call>", "text")
    assert not accepts("text <", "call>", "text")
    assert not accepts("text ", "<call>", "<other>")
    assert not accepts("text ", "<call>", "{}")


def test_any_spelling_of_what_must_come_passes():
    """Also where a vocabulary's own tokenizer would write something else, as for "▁"."""
    vocabulary = Bytes(words=["ab", "bc"])
    logits = np.zeros(vocabulary.n_vocab, np.float32)
    matcher = Grammars(vocabulary).matcher(Grammar('start: "abc"'))
    matcher.constrain(logits)
    assert np.flatnonzero(logits == 0).tolist() == [ord("a"), 256]
    matcher.accept(ord("a"))
    logits[:] = 0
    matcher.constrain(logits)
    assert np.flatnonzero(logits == 0).tolist() == [ord("b"), 257]


def test_what_is_refused_changes_nothing():
    vocabulary = Bytes(["<call>"])
    matcher = Grammars(vocabulary).matcher(Grammar('start: "ab" | "ac"'))
    assert not matcher.allows(ord("x"))
    assert matcher.allows(ord("a"))
    assert not matcher.allows(vocabulary.end)
    assert not matcher.finished
    assert matcher.allows(ord("c"))
    assert matcher.finished


def test_a_marker_that_ends_answers_is_text_to_a_grammar():
    vocabulary = Bytes(["<call>"])
    vocabulary.tokens[-1] = b"</call>"
    matcher = Grammars(vocabulary).matcher(CALL)
    assert all(matcher.allows(byte) for byte in b"<call>{}")
    assert not matcher.allows(vocabulary.end)


@pytest.mark.parametrize(
    ("schema", "problem"),
    [
        ({"type": "string", "pattern": "a{2,1}"}, "pattern"),
        ({"type": "object", "patternProperties": {"^a": {}, "b$": {}}}, "patternProperty"),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "minimum"),
        ({"type": "string", "minLength": 5, "maxLength": 3}, "minLength"),
    ],
)
def test_what_cannot_be_kept_is_named(schema: dict[str, Any], problem: str):
    with pytest.raises(BadRequest, match=rf"^invalid JSON schema in format: .*{problem}"):
        Grammars(Bytes()).matcher(held(schema=schema))


def test_a_tool_s_value_that_nothing_fits_is_held_to_its_type():
    nothing = {"type": "integer", "minimum": 5, "maximum": 3}
    broken = {"type": "object", "properties": {"a": nothing}, "required": ["a"]}
    tools = [*TOOLS, {"type": "function", "function": {"name": "broken", "parameters": broken}}]
    call = '<tool_call>\n{"name": "broken", "arguments": {"a": %s}}\n</tool_call>'
    for value, fitting in (("4", True), ('"four"', False)):
        matcher = Grammars(Bytes()).matcher(held(tools=tools, schema={"type": "integer"}))
        assert all(matcher.allows(byte) for byte in (call % value).encode()) == fitting


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "random.gguf"
    shape_model(path, vocab=300)
    return path


async def answers(path: Path, jobs: list[Job]) -> list[Answer]:
    """All jobs at once, as many as the engine takes."""
    async with loaded(path, num_ctx=1024, pool=8192, parallel=16) as engine:
        return await asyncio.gather(*(told(engine, job) for job in jobs))


def job(grammar: Grammar, seed: int, *, limit: int = 400, family: str = "") -> Job:
    options = Options(temperature=1.0, seed=seed, num_predict=limit, top_k=0, top_p=1.0)
    visible = tuple(special_tokens(family)) if family else ()
    return Job(prompt="Answer:", options=options, grammar=grammar, bias=ENDINGS, visible=visible)


async def test_every_answer_that_ends_fits_its_schema(random_model: Path):
    assert len(SCHEMAS) >= 200
    grammars = [held(schema=schema, think=False) for schema in SCHEMAS]
    given = await answers(random_model, [job(one, seed, limit=120) for seed, one in enumerate(grammars)])
    ended = 0
    for schema, answer in zip(SCHEMAS, given, strict=True):
        if answer.finish.reason == "stop":
            ended += 1
            validate(json.loads(answer.text), schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    assert ended > 0.9 * len(SCHEMAS)


async def test_a_model_of_random_weights_calls_a_tool_when_it_must(random_model: Path):
    schemas = {tool["function"]["name"]: tool["function"].get("parameters", {}) for tool in CLOSED}
    families = ["hermes", "qwen3-coder", "llama3", "mistral", "glm", "gemma4", "lfm2", "deepseek", "granite"]
    asked = [(family, seed) for family in families for seed in range(4)]
    jobs = [
        job(held(family, tools=CLOSED, required=True, parallel=False, think=False), seed, family=family)
        for family, seed in asked
    ]
    ended = 0
    for (family, _), answer in zip(asked, await answers(random_model, jobs), strict=True):
        if answer.finish.reason != "stop":
            continue
        ended += 1
        reading = parser_for(family, tools=CLOSED, think=False, prompt="", last=Message(role="user"))
        parts = [*reading.feed(answer.text), *reading.finish()]
        call = parts[0]
        assert isinstance(call, Called), answer.text
        assert len(parts) == 1, answer.text
        validate(call.arguments, schemas[call.name])
    assert ended > 0.9 * len(asked)


@pytest.mark.parametrize("required", [False, True])
def test_a_thousand_tools(required: bool):
    parameters = {"type": "object", "properties": {name: {"type": "string"} for name in "abc"}}
    tools = [{"function": {"name": f"tool_{at}", "parameters": parameters}} for at in range(1000)]
    matcher = Grammars(Bytes()).matcher(held(tools=tools, required=required))
    call = b'<tool_call>\n{"name": "tool_999", "arguments": {"c": "x", "a": "y"}}\n</tool_call>'
    assert all(matcher.allows(byte) for byte in call)
    assert matcher.error is None


def test_what_becomes_too_much_is_no_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(grammar, "_MAX_PARSES", 3)
    matcher = Grammars(Bytes()).matcher(TOO_MUCH)
    assert [matcher.allows(byte) for byte in b'{"p0"'] != [True] * 5
    assert matcher.finished
    assert matcher.error is not None
    assert ("too complex" in str(matcher.error), matcher.error.field) == (True, "schema")


async def test_an_answer_that_cannot_be_held_to_its_schema_fails(random_model: Path):
    async with loaded(random_model) as engine:
        with pytest.raises(BadRequest, match="too complex"):
            await ask(engine, "x", grammar=TOO_MUCH, num_predict=50, bias=TOWARDS_A_KEY)


async def test_a_failed_grammar_ends_an_answer_only_if_it_is_strict(random_model: Path):
    """It fails at the brace, whether the model would draw that by itself or not."""
    for bias in (TOWARDS_A_KEY, {FIRST_BYTE + ord("{"): 50.0}):
        async with loaded(random_model) as engine:
            with pytest.raises(BadRequest, match="too complex"):
                await ask(engine, "x", grammar=TOO_MUCH, num_predict=50, bias=bias)
            for limit in (1, 3):
                answer = await ask(engine, "x", grammar=LENIENT, num_predict=limit, bias=bias)
                assert (answer.finish.reason, answer.finish.eval_tokens) == ("length", limit)


TOWARDS_A_KEY = {FIRST_BYTE + ord(char): bias for char, bias in zip('"p0', (10.0, 20.0, 30.0), strict=True)}
TANGLED = {
    "allOf": [
        {"anyOf": [{"type": "object", "properties": {f"p{part}": {"const": way}}} for way in range(14)]}
        for part in range(3)
    ]
}
"""2,744 ways to go on from the first brace: more than a content's schema may have, but a tool's may."""
TOO_MUCH = Grammar(f"start: format_0\nformat_0: %json {json.dumps(TANGLED)}", schema="format_0")
LENIENT = replace(TOO_MUCH, strict=False)


def test_a_vocabulary_without_an_end_token_adds_none(
    random_model: Path, opened: Callable[[Path], Asked], monkeypatch: pytest.MonkeyPatch
):
    asked = opened(random_model)
    asked_job = plain_job("Go", grammar=SCHEMA, num_predict=200)
    with_end = asked.finish(asked_job)
    monkeypatch.setattr(asked.model, "eos", -1)  # what libllama says of such a vocabulary
    asked.begin()
    without = asked.finish(asked_job)
    assert without.reason == with_end.reason == "stop"
    assert without.tokens == with_end.tokens[:-1]
