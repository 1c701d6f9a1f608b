"""`pydantic-ai`, unmodified, through Ollama's provider and both of OpenAI's: agents, tools, typed results."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, PromptedOutput, ThinkingPart
from pydantic_ai.models import Model
from pydantic_ai.models.ollama import OllamaModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.ollama import OllamaProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.clients.actors import REASONING
from tests.clients.conftest import FORECAST, HEAVY, HELLO
from tests.running import Server

pytestmark = HEAVY


class Place(BaseModel):
    city: str
    days: int


def model_of(kind: str, name: str, server: Server) -> Model:
    url = f"{server.url}/v1"
    if kind == "ollama":
        return OllamaModel(name, provider=OllamaProvider(base_url=url))
    provider = OpenAIProvider(base_url=url, api_key="any")
    if kind == "responses":
        return OpenAIResponsesModel(name, provider=provider)
    return OpenAIChatModel(name, provider=provider)


@pytest.fixture(params=["ollama", "openai", "responses"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def actor(kind: str, guide_server: Server) -> Model:
    return model_of(kind, "actor", guide_server)


async def test_an_agent_answers(actor: Model):
    result = await Agent(actor).run("Hello")
    assert result.output == HELLO
    assert result.usage.output_tokens > 0


async def test_a_streamed_answer(actor: Model):
    async with Agent(actor).run_stream("Hello") as result:
        parts = [part async for part in result.stream_text(delta=True, debounce_by=None)]
    assert len(parts) > 1
    assert "".join(parts) == HELLO


async def test_thinking(kind: str, guide_server: Server):
    result = await Agent(model_of(kind, "thinker", guide_server)).run("Why?")
    parts = result.all_messages()[-1].parts
    assert [part.content for part in parts if isinstance(part, ThinkingPart)] == [REASONING]
    assert result.output == "Blue."


@pytest.mark.parametrize("streamed", [False, True])
async def test_an_agent_uses_its_tools(actor: Model, streamed: bool):
    seen = []
    agent = Agent(actor)

    @agent.tool_plain
    def get_weather(city: str, days: int) -> str:
        """The weather to come."""
        seen.append((city, days))
        return "sunny"

    if streamed:
        async with agent.run_stream("both") as result:
            output = await result.get_output()
    else:
        output = (await agent.run("both")).output
    assert sorted(seen) == [("Paris", 2), ("東京", 1)]
    assert output == FORECAST


@pytest.mark.parametrize("form", [NativeOutput, PromptedOutput])
async def test_a_structured_result(actor: Model, form: type):
    result = await Agent(actor, output_type=form(Place)).run("Which place?")
    assert result.output == Place(city="Paris", days=2)


async def test_a_result_as_a_tool_call(actor: Model):
    result = await Agent(actor, output_type=Place).run("Where to?")
    assert result.output == Place(city="Paris", days=2)
