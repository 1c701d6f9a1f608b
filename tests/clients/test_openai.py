"""The official OpenAI client, unmodified: sync, async, streams, tools, parse helpers, embeddings, errors."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionMessageFunctionToolCall, ChatCompletionMessageParam

from tests.running import Server, serving
from tests.server.conftest import SCRIPT
from tests.server.openai.conftest import add_speakers
from tests.server.talkers import CALLS, REASONING

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Hello"}]


class weather(pydantic.BaseModel):
    """The weather to come."""

    city: str
    days: int


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(add_speakers(tmp_path_factory.mktemp("openai-client"))) as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0, timeout=120) as client:
        yield client


def test_a_chat(client: openai.OpenAI):
    completion = client.chat.completions.create(model="talker", messages=HELLO)
    (choice,) = completion.choices
    assert (choice.message.role, choice.message.content, choice.finish_reason) == (
        "assistant",
        SCRIPT,
        "stop",
    )
    assert completion.usage
    assert completion.usage.total_tokens > completion.usage.prompt_tokens > 0


def test_a_streamed_chat(client: openai.OpenAI):
    stream = client.chat.completions.create(
        model="talker", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    *chunks, last = stream
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SCRIPT
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert last.usage
    assert last.usage.completion_tokens > 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_function_as_clients_once_called_it(client: openai.OpenAI):
    functions = [{"name": "weather", "parameters": weather.model_json_schema()}]
    asked: dict[str, Any] = {"model": "caller", "messages": HELLO, "functions": functions}
    choice = client.chat.completions.create(**asked).choices[0]
    assert choice.finish_reason == "function_call"
    assert choice.message.function_call
    assert weather.model_validate_json(choice.message.function_call.arguments).days == 2
    chunks = list(client.chat.completions.create(**asked, stream=True))
    calls = [call for chunk in chunks if (call := chunk.choices[0].delta.function_call)]
    assert calls[0].name == "weather"
    assert chunks[-1].choices[0].finish_reason == "function_call"


async def test_asynchronous_chats(server: Server):
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any", timeout=120) as client:
        whole = await client.chat.completions.create(model="talker", messages=HELLO)
        assert whole.choices[0].message.content == SCRIPT
        stream = await client.chat.completions.create(model="talker", messages=HELLO, stream=True)
        told = [chunk.choices[0].delta.content or "" async for chunk in stream]
        assert "".join(told) == SCRIPT


def test_a_stream_that_is_left_early(client: openai.OpenAI):
    with client.chat.completions.create(model="endless", messages=HELLO, stream=True) as stream:
        next(iter(stream))
    short = client.chat.completions.create(model="endless", messages=HELLO, max_completion_tokens=2)
    assert short.choices[0].finish_reason == "length"


def test_reasoning(client: openai.OpenAI):
    completion = client.chat.completions.create(model="thinker", messages=HELLO, reasoning_effort="low")
    message = completion.choices[0].message
    assert message.content == "Blue."
    assert message.model_extra
    assert message.model_extra["reasoning"] == REASONING
    # The message as it came is a turn of the next request.
    messages = [*HELLO, message.to_dict(), *HELLO]
    again = client.chat.completions.create(model="thinker", messages=messages)  # pyright: ignore[reportArgumentType]
    assert again.choices[0].message.content == "Blue."


def test_tools_and_their_answers(client: openai.OpenAI):
    tools = [openai.pydantic_function_tool(weather)]
    first = client.chat.completions.create(model="caller", messages=HELLO, tools=tools)
    message = first.choices[0].message
    assert first.choices[0].finish_reason == "tool_calls"
    assert message.tool_calls
    answers: list[ChatCompletionMessageParam] = [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls
    ]
    again = client.chat.completions.create(
        model="caller",
        messages=[*HELLO, message, *answers],  # pyright: ignore[reportArgumentType]
        tools=tools,
        tool_choice="none",
    )
    assert again.choices[0].finish_reason == "stop"


def test_tools_are_parsed(client: openai.OpenAI):
    tools = [openai.pydantic_function_tool(weather)]
    completion = client.chat.completions.parse(model="caller", messages=HELLO, tools=tools)
    calls = completion.choices[0].message.tool_calls
    assert calls
    parsed = [call.function.parsed_arguments for call in calls]
    assert parsed == [weather.model_validate(given) for _, given in CALLS]


def test_an_answer_is_parsed(client: openai.OpenAI):
    completion = client.chat.completions.parse(model="talker", messages=HELLO, response_format=weather)
    assert isinstance(completion.choices[0].message.parsed, weather)


def test_a_stream_of_events(client: openai.OpenAI):
    tools = [openai.pydantic_function_tool(weather)]
    with client.chat.completions.stream(model="caller", messages=HELLO, tools=tools) as stream:
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "tool_calls.function.arguments.done"} <= kinds
    calls = final.choices[0].message.tool_calls
    assert calls
    assert all(isinstance(call, ChatCompletionMessageFunctionToolCall) for call in calls)
    assert [call.function.name for call in calls] == [name for name, _ in CALLS]


def test_logprobs(client: openai.OpenAI):
    completion = client.chat.completions.create(model="talker", messages=HELLO, logprobs=True, top_logprobs=2)
    logprobs = completion.choices[0].logprobs
    assert logprobs
    assert logprobs.content
    assert b"".join(bytes(token.bytes or ()) for token in logprobs.content).decode() == SCRIPT
    assert {len(token.top_logprobs) for token in logprobs.content} == {2}


def test_completions(client: openai.OpenAI):
    completion = client.completions.create(model="talker", prompt=["a", "b"], echo=True, n=2)
    assert [choice.text for choice in completion.choices] == [f"{prompt}{SCRIPT}" for prompt in "aabb"]
    stream = client.completions.create(model="talker", prompt="a", stream=True)
    assert "".join(chunk.choices[0].text for chunk in stream) == SCRIPT


def test_a_prompts_own_probabilities(client: openai.OpenAI):
    """What evaluation harnesses ask for."""
    completion = client.completions.create(
        model="talker", prompt="hello", echo=True, logprobs=1, max_tokens=0, temperature=0, seed=1
    )
    (choice,) = completion.choices
    assert (choice.text, choice.finish_reason) == ("hello", "length")
    assert choice.logprobs
    assert (choice.logprobs.tokens or [])[1:] == list("hello")
    nothing, *logprobs = choice.logprobs.token_logprobs or []
    assert nothing is None
    assert all(logprob < 0 for logprob in logprobs)


def test_embeddings(client: openai.OpenAI):
    as_base64 = client.embeddings.create(model="vectors", input=["one", "two"])
    as_floats = client.embeddings.create(model="vectors", input=["one", "two"], encoding_format="float")
    for one, other in zip(as_base64.data, as_floats.data, strict=True):
        assert one.embedding == pytest.approx(other.embedding, abs=1e-5)


def test_models(client: openai.OpenAI):
    listed = {model.id: model for model in client.models.list()}
    one = client.models.retrieve("talker:latest")
    assert listed["talker:latest"] == one


def test_errors(client: openai.OpenAI):
    with pytest.raises(openai.NotFoundError) as missing:
        client.chat.completions.create(model="nobody", messages=HELLO)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model="talker", messages=HELLO, n=1000)
    assert refused.value.param == "n"
