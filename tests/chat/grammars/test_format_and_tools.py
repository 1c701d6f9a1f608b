"""A format beside tools: the model may give the content or call, until the two part."""

from __future__ import annotations

import pytest

from tests.chat.grammars.asked import held
from tests.chat.grammars.offered import tool
from tests.chat.grammars.walking import admitted

TOOLS = [tool("f", {"a": {"type": "integer"}}, "a")]
NAMED = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
    "required": ["name", "size"],
}
LIST = {"type": "array", "items": {"type": "integer"}, "minItems": 1}
CALLS = {
    "llama3": [
        '{"name": "f", "parameters": {"a": 1}}',
        '{"type": "function", "name": "f", "parameters": {"a": 1}}',
    ],
    "llama4": ['{"name": "f", "parameters": {"a": 1}}', "[f(a=1)]"],
    "generic": ['{"name": "f", "arguments": {"a": 1}}'],
}


@pytest.mark.parametrize("family", CALLS)
def test_both_are_open(family: str):
    grammar = held(family, tools=TOOLS, schema=NAMED)
    for call in CALLS[family]:
        assert admitted(grammar, call), call
        assert not admitted(grammar, call.replace("1", '"one"')), call
    assert admitted(grammar, '{"name": "f", "size": 1}')
    assert admitted(grammar, '{"name": "fig", "size": 1}')
    assert admitted(grammar, '{"name":"g","size":2}')
    assert not admitted(grammar, '{"name": "g"}')
    assert not admitted(grammar, "A fig.")


@pytest.mark.parametrize("family", CALLS)
def test_a_list_is_open_too(family: str):
    grammar = held(family, tools=TOOLS, schema=LIST)
    assert admitted(grammar, "[1, 2]")
    for call in CALLS[family]:
        assert admitted(grammar, call), call


@pytest.mark.parametrize("family", CALLS)
def test_several_calls_where_they_may_be(family: str):
    one = CALLS[family][0]
    for parallel in (True, False):
        grammar = held(family, tools=TOOLS, schema=NAMED, parallel=parallel)
        assert admitted(grammar, f"{one}\n{one}") == parallel


@pytest.mark.parametrize("family", CALLS)
def test_a_call_that_must_come_is_the_only_way(family: str):
    grammar = held(family, tools=TOOLS, schema=NAMED, required=True)
    assert admitted(grammar, CALLS[family][0])
    assert not admitted(grammar, '{"name": "f", "size": 1}')
