"""The tables of docs/responses.md say what the code does, and name every field of the official client's."""

from __future__ import annotations

from functools import partial
from typing import Any, get_args

import msgspec
import pytest
from openai.types.responses import (
    ResponseInputItemParam,
    ToolParam,
    input_token_count_params,
    response_create_params,
)
from typing_extensions import get_type_hints  # typing's keeps Required[…] before Python 3.11

from puna.errors import BadRequest
from puna.server.body import decode
from puna.server.remote import Remote
from puna.server.responses.conversion import HOSTED, function_offer
from puna.server.responses.items import HOSTED_CALLS, messages
from puna.server.responses.requests import IGNORED, REFUSED, Item, ResponsesRequest, check
from puna.server.responses.store import Store, StoredResponse
from tests.server import documented

table, named = partial(documented.table, "responses"), partial(documented.named, "responses")

_CLIENT = [
    response_create_params.ResponseCreateParamsNonStreaming,
    response_create_params.ResponseCreateParamsStreaming,
]
_SAMPLES: dict[str, dict[str, Any]] = {
    "message": {"role": "user", "content": "hi"},
    "function_call": {"call_id": "a", "name": "b", "arguments": "{}"},
    "function_call_output": {"call_id": "a", "output": "x"},
    "custom_tool_call": {"call_id": "a", "name": "b", "input": "x"},
    "custom_tool_call_output": {"call_id": "a", "output": "x"},
    "tool_search_call": {"call_id": "a", "arguments": {}},
    "tool_search_output": {"call_id": "a", "tools": []},
    "additional_tools": {"role": "developer", "tools": []},
    "reasoning": {"id": "rs_1", "summary": []},
    "item_reference": {"id": "msg_1"},
}


def body(**fields: Any) -> ResponsesRequest:
    given = decode(msgspec.json.encode({"model": "m", "input": "hi", **fields}), ResponsesRequest)
    check(given)
    return given


def test_fields():
    read = {field.encode_name for field in msgspec.structs.fields(ResponsesRequest)}
    assert named("Fields", "supported") == read - set(REFUSED)
    assert named("Fields", "ignored") == set(IGNORED)
    assert named("Fields", "refused") == set(REFUSED)
    for field in IGNORED:
        body(**{field: {"any": "thing"}})
    for field in REFUSED:
        with pytest.raises(BadRequest) as refusal:
            body(**{field: True if field == "background" else {"any": "thing"}})
        assert refusal.value.field == field


@pytest.mark.parametrize("parameters", _CLIENT)
def test_the_clients_fields_are_named(parameters: Any):
    assert set(parameters.__annotations__) - set(table("Fields")) == set()


def test_the_clients_fields_of_a_count_are_read():
    read = {field.encode_name for field in msgspec.structs.fields(ResponsesRequest)}
    assert set(input_token_count_params.InputTokenCountParams.__annotations__) - read == {"personality"}


def kinds(union: Any) -> set[str]:
    """The types of things that the client's type is a union of."""
    hints = [get_type_hints(kind)["type"] for kind in get_args(union)]
    return {name for hint in hints for name in get_args(hint) if isinstance(name, str)}


def test_the_clients_tools_and_items_are_named():
    assert len(kinds(ToolParam)) > 10
    assert kinds(ToolParam) - set(table("Tools")) == set()
    assert len(kinds(ResponseInputItemParam)) > 20
    assert kinds(ResponseInputItemParam) - set(table("Items")) == set()


def test_tools():
    function = {"type": "function", "name": "x", "parameters": {"type": "object"}}
    group = {"type": "namespace", "name": "y", "tools": [function]}
    custom = {"type": "custom", "name": "z"}
    search = {"type": "tool_search", "execution": "client"}
    assert named("Tools", "supported") == {"function", "namespace", "custom", "tool_search"}
    assert [len(function_offer(body(tools=[tool])).tools) for tool in (function, group, custom, search)] == [
        1
    ] * 4
    assert named("Tools", "ignored") == set(HOSTED)
    assert function_offer(body(tools=[{"type": kind} for kind in HOSTED])).tools == []
    for kind in named("Tools", "refused"):
        with pytest.raises(BadRequest, match=kind):
            function_offer(body(tools=[{"type": kind, "name": "x"}]))


async def test_items():
    assert named("Items", "supported") == set(_SAMPLES)
    store = Store()
    store.add(
        "resp_1",
        StoredResponse(
            b'{"output": [{"type": "message", "id": "msg_1", "role": "assistant"}]}', [], ["msg_1"]
        ),
    )
    for kind, fields in _SAMPLES.items():
        (given,) = body(input=[{"type": kind, **fields}]).input or []
        assert isinstance(given, Item)
        await messages(store.resolve_references([given]), [], Remote())
    assert named("Items", "ignored") == set(HOSTED_CALLS)
    for kind in HOSTED_CALLS:
        assert await messages(body(input=[{"type": kind, "id": "x"}]).input or [], [], Remote()) == []
    for kind in named("Items", "refused"):
        with pytest.raises(BadRequest, match=kind):
            await messages(body(input=[{"type": kind, "id": "x"}]).input or [], [], Remote())
