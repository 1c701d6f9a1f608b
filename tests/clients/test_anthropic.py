"""The official `anthropic` client, unmodified: whole, streamed, tools, structured answers, errors, async."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic, beta_tool
from anthropic.lib.streaming import BetaMessageStream
from anthropic.types import MessageParam, ThinkingConfigEnabledParam, ToolParam
from pydantic import BaseModel

from tests.running import Server, serving
from tests.server.conftest import SCRIPT
from tests.server.talkers import CALLS, PARAMETERS, REASONING, add_talkers

HELLO: list[MessageParam] = [{"role": "user", "content": "hello"}]
TOOL: ToolParam = {"name": "weather", "description": "The weather to come.", "input_schema": PARAMETERS}
THINKING: ThinkingConfigEnabledParam = {"type": "enabled", "budget_tokens": 1024}


class Place(BaseModel):
    city: str
    days: int


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(add_talkers(tmp_path_factory.mktemp("anthropic-client"))) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Anthropic]:
    with Anthropic(base_url=server.url, api_key="any", max_retries=0, timeout=60) as client:
        yield client


def test_a_message(client: Anthropic):
    message = client.messages.create(model="talker", max_tokens=50, messages=HELLO)
    assert [block.model_dump(include={"type", "text"}) for block in message.content] == [
        {"type": "text", "text": SCRIPT}
    ]
    assert (message.stop_reason, message.role, message.model) == ("end_turn", "assistant", "talker")
    assert message.usage.output_tokens > 3
    assert (message._request_id or "").startswith("req_")


def test_a_stream_is_put_together_as_the_whole_message(client: Anthropic):
    with client.messages.stream(model="thinker", max_tokens=500, messages=HELLO, thinking=THINKING) as stream:
        kinds = [event.type for event in stream]
        message = stream.get_final_message()
    assert [block.type for block in message.content] == ["thinking", "text"]
    assert message.content[0].model_dump(include={"thinking"}) == {"thinking": REASONING}
    assert {"thinking", "text"} <= set(kinds)
    whole = client.messages.create(model="thinker", max_tokens=500, messages=HELLO, thinking=THINKING)
    plain = [block.model_dump(exclude={"parsed_output"}) for block in message.content]
    assert plain == [block.model_dump() for block in whole.content]
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", whole.usage.output_tokens)
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) > 5


def test_text_comes_as_it_is_made(client: Anthropic):
    with client.messages.stream(model="talker", max_tokens=50, messages=HELLO) as stream:
        texts = list(stream.text_stream)
    assert len(texts) > 3
    assert "".join(texts) == SCRIPT


@pytest.mark.parametrize("streamed", [False, True])
def test_a_conversation_with_tools(client: Anthropic, streamed: bool):
    asked: dict[str, Any] = {"model": "caller", "max_tokens": 500, "tools": [TOOL]}
    if streamed:
        with client.messages.stream(messages=HELLO, **asked) as stream:
            message = stream.get_final_message()
    else:
        message = client.messages.create(messages=HELLO, **asked)
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == CALLS
    assert message.stop_reason == "tool_use"
    results: list[Any] = [{"type": "tool_result", "tool_use_id": call.id, "content": "sun"} for call in calls]
    turns: list[MessageParam] = [
        *HELLO,
        {"role": "assistant", "content": message.content},
        {"role": "user", "content": results},
    ]
    assert client.messages.create(messages=turns, **asked).content


@pytest.mark.parametrize("streamed", [False, True])
def test_the_runner_of_tools(client: Anthropic, streamed: bool):
    given: list[str] = []

    @beta_tool
    def weather(city: str, days: int) -> str:
        """The weather to come."""
        given.append(f"{city} {days}")
        return "sun"

    asked: dict[str, Any] = {"model": "caller", "max_tokens": 500, "messages": HELLO, "tools": [weather]}
    for turn in client.beta.messages.tool_runner(**asked, max_iterations=2, stream=streamed):
        message = turn.get_final_message() if isinstance(turn, BetaMessageStream) else turn
        assert message.stop_reason == "tool_use"
    assert given == ["Paris 2", "東京 1"] * 2


def test_models(client: Anthropic):
    assert "talker:latest" in [model.id for model in client.models.list()]
    assert client.models.retrieve("talker").display_name == "talker"


def test_a_parsed_message(client: Anthropic):
    name = "somewhere.example/me/writer:v1"
    message = client.messages.parse(model=name, max_tokens=100, messages=HELLO, output_format=Place)
    assert message.parsed_output == Place(city="Paris", days=2)


def test_counting(client: Anthropic):
    short = client.messages.count_tokens(model="talker", messages=HELLO)
    long = client.messages.count_tokens(model="talker", messages=HELLO, system="Be very brief.")
    assert long.input_tokens > short.input_tokens > 3


def test_errors_are_the_clients_own(client: Anthropic):
    with pytest.raises(anthropic.NotFoundError, match="not found"):
        client.messages.create(model="nobody", max_tokens=5, messages=HELLO)
    long: list[MessageParam] = [{"role": "user", "content": "too long " * 100}]
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        client.messages.create(model="narrow", max_tokens=5, messages=long)
    picture: Any = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(b"x").decode()}
    seen: list[MessageParam] = [{"role": "user", "content": [{"type": "image", "source": picture}]}]
    with pytest.raises(anthropic.BadRequestError, match="does not support vision"):
        client.messages.create(model="talker", max_tokens=5, messages=seen)


async def test_async(server: Server):
    async with AsyncAnthropic(base_url=server.url, api_key="any", max_retries=0, timeout=60) as client:
        async with client.messages.stream(model="talker", max_tokens=50, messages=HELLO) as stream:
            assert await stream.get_final_text() == SCRIPT
        stop = await client.messages.create(
            model="talker", max_tokens=50, messages=HELLO, stop_sequences=[" blue"]
        )
    assert (stop.stop_reason, stop.stop_sequence) == ("stop_sequence", " blue")
