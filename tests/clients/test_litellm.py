"""`litellm`, unmodified, through its Ollama providers and its OpenAI one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import litellm
import pytest
from litellm.exceptions import NotFoundError
from pydantic import BaseModel

from tests.clients.actors import REASONING
from tests.clients.conftest import FORECAST, HEAVY, HELLO
from tests.running import Server

# Both are about litellm's own types.
QUIET = ["ignore:.*ReadOnly:UserWarning", "ignore:Pydantic serializer warnings:UserWarning"]
pytestmark = [*HEAVY, *map(pytest.mark.filterwarnings, QUIET)]


class Place(BaseModel):
    city: str
    days: int


PLACES = [Place(city="Paris", days=2), Place(city="東京", days=1)]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather to come.",
        "parameters": Place.model_json_schema(),
    },
}


def user(said: str) -> list[Any]:
    return [{"role": "user", "content": said}]


@pytest.fixture(params=["ollama_chat", "openai"])
def provider(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def address(provider: str, guide_server: Server) -> dict[str, Any]:
    """What is said of the server to that provider."""
    if provider == "openai":
        return {"api_base": f"{guide_server.url}/v1", "api_key": "any"}
    return {"api_base": guide_server.url}


@pytest.fixture
def complete(provider: str, address: dict[str, Any]) -> Callable[..., Any]:
    """`litellm.completion`, whose own type is that of all that it may return."""

    def ask(model: str, messages: list[Any], **more: Any) -> Any:
        return litellm.completion(f"{provider}/{model}", messages, **address, **more)

    return ask


def test_completion(complete: Callable[..., Any]):
    answer = complete("actor", user("Hello"))
    assert answer.choices[0].message.content == HELLO
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.total_tokens > answer.usage.completion_tokens > 0


def test_a_streamed_completion(complete: Callable[..., Any]):
    chunks = complete("actor", user("Hello"), stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == HELLO


async def test_asynchronous_completions(provider: str, address: dict[str, Any]):
    asked: dict[str, Any] = {"model": f"{provider}/actor", "messages": user("Hello"), **address}
    answer: Any = await litellm.acompletion(**asked)
    assert answer.choices[0].message.content == HELLO
    stream: Any = await litellm.acompletion(stream=True, **asked)
    assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream]) == HELLO


@pytest.mark.parametrize("stream", [False, True])
def test_reasoning(complete: Callable[..., Any], stream: bool):
    # Of a model that it does not know, litellm's OpenAI provider must be told that it reasons.
    asked = {"reasoning_effort": "low", "allowed_openai_params": ["reasoning_effort"]}
    answer = complete("thinker", user("Why?"), stream=stream, **asked)
    if stream:
        answer = cast(Any, litellm.stream_chunk_builder(list(answer)))
    message = answer.choices[0].message
    assert (message.reasoning_content, message.content) == (REASONING, "Blue.")


def test_tools_are_called_and_their_answers_read(complete: Callable[..., Any]):
    answer = complete("actor", user("both"), tools=[WEATHER])
    message = answer.choices[0].message
    assert answer.choices[0].finish_reason == "tool_calls"
    assert [Place.model_validate_json(call.function.arguments) for call in message.tool_calls] == PLACES
    results = [{"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls]
    answer = complete("actor", [*user("both"), message, *results], tools=[WEATHER])
    assert answer.choices[0].message.content == FORECAST


def test_streamed_tool_calls(complete: Callable[..., Any]):
    chunks = list(complete("actor", user("both"), tools=[WEATHER], stream=True))
    # Not litellm.stream_chunk_builder: from Ollama's API it takes all calls for one, as it looks at no index.
    calls = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or ()]
    assert [Place.model_validate_json(call.function.arguments) for call in calls] == PLACES
    assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_a_structured_answer(complete: Callable[..., Any]):
    answer = complete("actor", user("Which place?"), response_format=Place)
    assert Place.model_validate_json(answer.choices[0].message.content) == PLACES[0]


def test_embeddings(provider: str, address: dict[str, Any]):
    name = f"{provider.removesuffix('_chat')}/all-minilm:22m"
    answer: Any = litellm.embedding(name, ["sky", "天空"], **address)
    assert [len(one["embedding"]) for one in answer.data] == [384, 384]
    assert answer.usage.prompt_tokens > 0


def test_an_unknown_model(complete: Callable[..., Any]):
    with pytest.raises(NotFoundError, match="no-such-model"):
        complete("no-such-model", user("Hello"))


def test_generate(guide_server: Server):
    answer: Any = litellm.completion("ollama/actor", user("Hello"), api_base=guide_server.url)
    assert answer.choices[0].message.content == HELLO


def test_what_a_model_can_do_is_asked_of_the_server(guide_server: Server):
    found: Any = litellm.get_model_info("ollama_chat/actor", api_base=guide_server.url)
    assert (found["supports_function_calling"], found["max_tokens"]) == (True, 4096)
