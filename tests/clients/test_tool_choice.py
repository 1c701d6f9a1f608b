"""Which tools must be called, as the official `openai` and `anthropic` clients say it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import anthropic
import openai
import pytest

from tests.running import Server

PLACE = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
    "required": ["city", "days"],
}
NAMES = ("get_weather", "final_result")
FUNCTIONS: Any = [{"type": "function", "function": {"name": name, "parameters": PLACE}} for name in NAMES]
TOOLS: Any = [{"name": name, "input_schema": PLACE} for name in NAMES]
BOTH: Any = [{"role": "user", "content": "both"}]
NOW: Any = [{"role": "user", "content": "And now?"}]


class TestOpenAI:
    @pytest.fixture
    def client(self, guide_server: Server) -> Iterator[openai.OpenAI]:
        with openai.OpenAI(base_url=f"{guide_server.url}/v1", api_key="any", max_retries=0) as client:
            yield client

    def called(self, client: openai.OpenAI, messages: Any, **choice: Any) -> list[str]:
        answer = client.chat.completions.create(
            model="actor", messages=messages, tools=FUNCTIONS, **choice
        ).choices[0]
        assert answer.finish_reason == ("tool_calls" if answer.message.tool_calls else "stop")
        return [call.function.name for call in answer.message.tool_calls or () if call.type == "function"]

    def test_required(self, client: openai.OpenAI):
        assert self.called(client, BOTH, tool_choice="required") == ["get_weather", "get_weather"]

    def test_one_at_a_time(self, client: openai.OpenAI):
        assert self.called(client, BOTH, parallel_tool_calls=False) == ["get_weather"]

    def test_a_name(self, client: openai.OpenAI):
        choice = {"type": "function", "function": {"name": "final_result"}}
        assert self.called(client, NOW, tool_choice=choice) == ["final_result"]

    def test_none(self, client: openai.OpenAI):
        assert self.called(client, NOW, tool_choice="none") == []

    def test_a_name_that_no_tool_has(self, client: openai.OpenAI):
        choice = {"type": "function", "function": {"name": "nothing"}}
        with pytest.raises(openai.BadRequestError, match="tool_choice"):
            self.called(client, NOW, tool_choice=choice)

    async def test_parsed_without_waiting(self, guide_server: Server):
        async with openai.AsyncOpenAI(base_url=f"{guide_server.url}/v1", api_key="any") as client:
            answer = await client.chat.completions.create(
                model="actor", messages=BOTH, tools=FUNCTIONS, tool_choice="required", stream=True
            )
            calls = [call async for chunk in answer for call in chunk.choices[0].delta.tool_calls or ()]
        assert [call.index for call in calls if call.id] == [0, 1]


class TestAnthropic:
    @pytest.fixture
    def client(self, guide_server: Server) -> Iterator[anthropic.Anthropic]:
        with anthropic.Anthropic(base_url=guide_server.url, api_key="any", max_retries=0) as client:
            yield client

    def called(self, client: anthropic.Anthropic, messages: Any, type: Any, **more: Any) -> list[str]:
        choice: Any = {"type": type, **more}
        answer = client.messages.create(
            model="actor", max_tokens=500, messages=messages, tools=TOOLS, tool_choice=choice
        )
        calls = [block.name for block in answer.content if block.type == "tool_use"]
        assert answer.stop_reason == ("tool_use" if calls else "end_turn")
        return calls

    def test_any(self, client: anthropic.Anthropic):
        assert self.called(client, BOTH, type="any") == ["get_weather", "get_weather"]

    def test_one_at_a_time(self, client: anthropic.Anthropic):
        assert self.called(client, BOTH, type="any", disable_parallel_tool_use=True) == ["get_weather"]

    def test_a_name(self, client: anthropic.Anthropic):
        assert self.called(client, NOW, type="tool", name="final_result") == ["final_result"]

    def test_none(self, client: anthropic.Anthropic):
        assert self.called(client, NOW, type="none") == []

    def test_a_name_that_no_tool_has(self, client: anthropic.Anthropic):
        with pytest.raises(anthropic.BadRequestError, match="tool_choice"):
            self.called(client, NOW, type="tool", name="nothing")
