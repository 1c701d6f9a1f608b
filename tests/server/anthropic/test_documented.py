"""The tables of docs/anthropic.md say what the code does, and name every field of the official client's."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import pytest
from anthropic.types import message_count_tokens_params, message_create_params
from anthropic.types.beta import message_create_params as beta_create_params

from puna.errors import BadRequest
from puna.server.anthropic.conversion import chat_input
from puna.server.anthropic.requests import IGNORED, REFUSED, MessagesRequest
from puna.server.anthropic.tools import offer
from puna.server.body import decode
from puna.server.remote import Remote
from tests.server import documented

table, named = partial(documented.table, "anthropic"), partial(documented.named, "anthropic")

_CLIENT = [
    message_count_tokens_params.MessageCountTokensParams,
    message_create_params.MessageCreateParamsNonStreaming,
    message_create_params.MessageCreateParamsStreaming,
    beta_create_params.MessageCreateParamsStreaming,
]
_SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "text": ("user", {"text": "hi"}),
    "image": ("user", {"source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}}),
    "document": ("user", {"source": {"type": "text", "media_type": "text/plain", "data": "x"}}),
    "search_result": ("user", {"source": "x", "title": "y", "content": [{"type": "text", "text": "z"}]}),
    "tool_use": ("assistant", {"id": "a", "name": "b", "input": {}}),
    "tool_result": ("user", {"tool_use_id": "a", "content": "x"}),
    "thinking": ("assistant", {"thinking": "x", "signature": ""}),
    "redacted_thinking": ("assistant", {"data": "x"}),
    "server_tool_use": ("assistant", {"id": "a", "name": "web_search", "input": {}}),
    "web_search_tool_result": ("assistant", {"tool_use_id": "a", "content": []}),
    "mcp_tool_use": ("assistant", {"id": "a", "name": "b", "input": {}}),
    "mcp_tool_result": ("assistant", {"tool_use_id": "a", "content": "x"}),
    "tool_reference": ("user", {"tool_name": "b"}),
    "compaction": ("assistant", {"content": "x"}),
    "fallback": ("assistant", {"from": {}, "to": {}}),
}


async def ask(**fields: Any) -> None:
    given = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}], **fields}
    body = decode(msgspec.json.encode(given), MessagesRequest)
    await chat_input(body, offer(body.tools or ()), Remote())


async def test_fields():
    read = {field.encode_name for field in msgspec.structs.fields(MessagesRequest)}
    assert named("Fields", "supported") == read - set(REFUSED)
    assert named("Fields", "ignored") == set(IGNORED)
    assert named("Fields", "refused") == set(REFUSED)
    for field in IGNORED:
        await ask(**{field: {"any": "thing"}})
    for field in REFUSED:
        with pytest.raises(BadRequest, match=f"{field}: not supported"):
            await ask(**{field: {"any": "thing"}})


@pytest.mark.parametrize("parameters", _CLIENT)
def test_the_clients_fields_are_named(parameters: Any):
    assert set(parameters.__annotations__) - set(table("Fields")) == set()


async def test_blocks():
    assert named("Blocks", "supported") == set(_SAMPLES)
    for kind, (role, fields) in _SAMPLES.items():
        await ask(messages=[{"role": role, "content": [{"type": kind, **fields}]}])
    for kind in named("Blocks", "refused"):
        for role in ("user", "assistant"):
            with pytest.raises(BadRequest, match=kind):
                await ask(messages=[{"role": role, "content": [{"type": kind}]}])
