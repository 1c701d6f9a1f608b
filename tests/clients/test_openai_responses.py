"""`responses` of the official `openai` client, unmodified: whole, streamed, tools, parse helpers, async."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

from tests.running import Server, serving
from tests.server.conftest import SCRIPT
from tests.server.talkers import CALLS, PARAMETERS, REASONING, add_talkers

TOOL: FunctionToolParam = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": False}
WRITER = "somewhere.example/me/writer:v1"


class Place(BaseModel):
    city: str
    days: int


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(add_talkers(tmp_path_factory.mktemp("openai-client"))) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=60) as client:
        yield client


def test_a_response(client: OpenAI):
    response = client.responses.create(model="talker", input="hello", metadata={"a": "b"})
    assert (response.output_text, response.status, response.metadata) == (SCRIPT, "completed", {"a": "b"})
    assert response.usage
    assert response.usage.total_tokens > 5


def test_a_conversation_that_is_kept(client: OpenAI):
    first = client.responses.create(model="talker", input="hello")
    second = client.responses.create(model="talker", input="and", previous_response_id=first.id)
    assert client.responses.retrieve(second.id) == second
    client.responses.delete(first.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(first.id)
    with pytest.raises(openai.BadRequestError) as refusal:
        client.responses.create(model="talker", input="and", previous_response_id=first.id)
    assert refusal.value.code == "previous_response_not_found"


def test_a_stream_is_put_together_as_the_whole_response(client: OpenAI):
    with client.responses.stream(model="thinker", input="hello") as stream:
        kinds = [event.type for event in stream]
        response = stream.get_final_response()
    reasoning = response.output[0]
    assert reasoning.type == "reasoning"
    assert reasoning.summary[0].text == REASONING
    assert response.output_text == "Blue."
    assert kinds[:3] == ["response.created", "response.in_progress", "response.output_item.added"]
    assert kinds[-1] == "response.completed"


def test_a_stream_of_events(client: OpenAI):
    stream = client.responses.create(model="talker", input="hello", stream=True, max_output_tokens=3)
    events = list(stream)
    assert (
        "".join(event.delta for event in events if event.type == "response.output_text.delta") == "The sky is"
    )
    assert events[-1].type == "response.incomplete"


@pytest.mark.parametrize("streamed", [False, True])
def test_a_conversation_with_tools(client: OpenAI, streamed: bool):
    asked: dict[str, Any] = {"model": "caller", "tools": [TOOL]}
    if streamed:
        with client.responses.stream(input="hello", **asked) as stream:
            response: Any = stream.get_final_response()
    else:
        response = client.responses.create(input="hello", **asked)
    calls = [item for item in response.output if item.type == "function_call"]
    assert [(call.name, Place.model_validate_json(call.arguments).model_dump()) for call in calls] == CALLS
    said: list[Any] = [{"role": "user", "content": "hello"}]
    said += [item.to_dict() for item in response.output]
    said += [{"type": "function_call_output", "call_id": call.call_id, "output": "sun"} for call in calls]
    assert client.responses.create(input=said, store=False, **asked).output


def test_a_parsed_response(client: OpenAI):
    response = client.responses.parse(model=WRITER, input="where", text_format=Place)
    assert response.output_parsed == Place(city="Paris", days=2)


def test_counting(client: OpenAI):
    assert client.responses.input_tokens.count(model="talker", input="hello").input_tokens > 3


def test_errors_are_the_clients_own(client: OpenAI):
    with pytest.raises(openai.NotFoundError) as missing:
        client.responses.create(model="nobody", input="hello")
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(model="talker", input="hello", background=True)
    assert refused.value.param == "background"


async def test_async(server: Server):
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=60) as client:
        response = await client.responses.create(model="talker", input="hello")
        assert response.output_text == SCRIPT
        async with client.responses.stream(model="talker", input="hello") as stream:
            assert (await stream.get_final_response()).output_text == SCRIPT
