"""The official Python client: async, streaming, options, structured outputs, embeddings, errors."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

import jsonschema
import ollama
import pytest

from tests.clients.conftest import SCRIPT
from tests.running import Server

HELLO = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(guide_server: Server) -> ollama.Client:
    return ollama.Client(guide_server.url, timeout=300)


@pytest.fixture
async def asynchronous(guide_server: Server) -> ollama.AsyncClient:
    return ollama.AsyncClient(guide_server.url, timeout=300)


def test_a_real_model_knows_the_capital_of_france(client: ollama.Client):
    question = {"role": "user", "content": "What is the capital of France?"}
    answer = client.chat("smollm2:135m", [question], options={"temperature": 0, "num_predict": 20})
    assert "Paris" in (answer.message.content or "")


def test_a_streamed_chat_is_the_unstreamed_one_in_parts(client: ollama.Client):
    whole = client.chat("qwen3", HELLO)
    *parts, last = client.chat("qwen3", HELLO, stream=True)
    assert "".join(part.message.content or "" for part in (*parts, last)) == whole.message.content
    assert (last.done_reason, last.eval_count) == (whole.done_reason, whole.eval_count)
    assert last.total_duration
    assert last.total_duration >= (last.eval_duration or 0) > 0


def test_generate_goes_on_from_a_context(client: ollama.Client):
    first = client.generate("qwen3", "My name is Ada.")
    assert first.context
    second = client.generate("qwen3", "What is my name?", context=first.context)
    assert second.context
    assert list(second.context)[: len(first.context)] == list(first.context)


def test_the_same_seed_gives_the_same_text(client: ollama.Client):
    def told(seed: int) -> str | None:
        options = {"temperature": 1.5, "seed": seed}
        return client.generate("qwen3", "Tell me a story.", options=options).response

    assert told(7) == told(7)
    assert told(7) != told(8)


def test_a_stop_string_ends_the_answer_and_is_not_part_of_it(client: ollama.Client):
    answer = client.chat("scripted", HELLO, options={"stop": ["e sky is"]})
    assert answer.message.content == "Hello there! Th"
    assert answer.done_reason == "stop"


def test_structured_output_is_what_the_schema_asks_for(client: ollama.Client):
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "population": {"type": "integer", "minimum": 0, "maximum": 99999999},
            "kind": {"enum": ["capital", "town"]},
        },
        "required": ["city", "population", "kind"],
        "additionalProperties": False,
    }
    question = [{"role": "user", "content": "Tell me about Paris."}]
    answer = client.chat(
        "smollm2:135m", question, format=schema, options={"temperature": 0, "num_predict": 200}
    )
    jsonschema.validate(json.loads(answer.message.content or ""), schema)


def test_json_output_is_an_object(client: ollama.Client):
    question = [{"role": "user", "content": "List two colours as JSON. Be brief."}]
    answer = client.chat("smollm2:135m", question, format="json", options={"seed": 1, "num_predict": 64})
    if answer.done_reason == "stop":
        assert isinstance(json.loads(answer.message.content or ""), dict)
    else:
        assert (answer.message.content or "").lstrip().startswith("{")


def test_embed_one_and_many(client: ollama.Client):
    one = client.embed("qwen3-embedding", "The sky is blue.").embeddings
    many = client.embed("qwen3-embedding", ["The sky is blue.", "天空是蓝色的"]).embeddings
    assert [len(vector) for vector in many] == [384, 384]
    assert math.hypot(*many[1]) == pytest.approx(1, abs=1e-4)
    assert many[0] == pytest.approx(one[0], abs=1e-4)
    older = client.embeddings("qwen3-embedding", "The sky is blue.").embedding
    product = sum(a * b for a, b in zip(older, one[0], strict=True))
    assert product / math.hypot(*older) == pytest.approx(1, abs=1e-4)


def test_show_ps_and_keep_alive(client: ollama.Client):
    shown = client.show("qwen3")
    assert shown.capabilities == ["completion"]
    assert shown.details
    assert shown.details.quantization_level == "F16"
    client.generate("scripted", keep_alive="10m")
    assert "scripted:latest" in [model.model for model in client.ps().models]
    client.generate("scripted", keep_alive=0)
    assert "scripted:latest" not in [model.model for model in client.ps().models]


@pytest.mark.parametrize("call", ["chat", "generate", "embed", "show"])
def test_an_unknown_model_is_not_found(client: ollama.Client, call: str):
    with pytest.raises(ollama.ResponseError) as caught:
        getattr(client, call)("no-such-model")
    assert caught.value.status_code == 404
    assert "no-such-model" in caught.value.error


def test_a_wrong_option_is_named(client: ollama.Client):
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat("scripted", HELLO, options={"temperature": "hot"})
    assert caught.value.status_code == 400
    assert 'option "temperature"' in caught.value.error


def test_a_chat_with_an_embedding_model_is_refused(client: ollama.Client):
    with pytest.raises(ollama.ResponseError) as caught:
        client.chat("qwen3-embedding", HELLO)
    assert caught.value.status_code == 400
    assert "does not support chat" in caught.value.error


async def test_many_streams_at_once_each_get_their_own_answer(asynchronous: ollama.AsyncClient):
    async def answer() -> str:
        stream: AsyncIterator[ollama.ChatResponse] = await asynchronous.chat("scripted", HELLO, stream=True)
        return "".join([part.message.content or "" async for part in stream])

    assert await asyncio.gather(*(answer() for _ in range(12))) == ["".join(SCRIPT)] * 12


async def test_a_client_that_goes_away_frees_its_place(asynchronous: ollama.AsyncClient):
    for _ in range(3):
        stream = await asynchronous.chat("endless", HELLO, stream=True)
        async with aclosing(cast("AsyncGenerator[ollama.ChatResponse]", stream)) as parts:
            async for part in parts:
                assert part.message.content
                break
    answer = await asyncio.wait_for(asynchronous.chat("endless", HELLO, options={"num_predict": 4}), 30)
    assert answer.done_reason == "length"
    assert answer.eval_count == 4
