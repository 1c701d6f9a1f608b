"""`llama-index-llms-ollama`, unmodified: complete, chat, streams, tools, structured answers."""

from __future__ import annotations

import pytest
from llama_index.core.base.llms.types import ThinkingBlock
from llama_index.core.llms import ChatMessage
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.ollama import Ollama
from pydantic import BaseModel

from tests.clients.actors import REASONING
from tests.clients.conftest import FORECAST, HEAVY, HELLO
from tests.running import Server

pytestmark = HEAVY

QUESTION = [ChatMessage("Hello")]


class Place(BaseModel):
    city: str
    days: int


def get_weather(city: str, days: int) -> str:
    """The weather to come."""
    return f"sunny in {city}"


@pytest.fixture
def llm(guide_server: Server) -> Ollama:
    return Ollama("actor", base_url=guide_server.url, request_timeout=60)


def test_complete(llm: Ollama):
    assert llm.complete("Hello").text == HELLO
    assert "".join(part.delta or "" for part in llm.stream_complete("Hello")) == HELLO


def test_chat(llm: Ollama):
    answer = llm.chat(QUESTION)
    assert answer.message.content == HELLO
    assert answer.raw
    assert answer.raw["usage"]["total_tokens"] > answer.raw["usage"]["completion_tokens"] > 0


def test_a_streamed_chat(llm: Ollama):
    parts = list(llm.stream_chat(QUESTION))
    assert "".join(part.delta or "" for part in parts) == parts[-1].message.content == HELLO


async def test_asynchronous_chats(llm: Ollama):
    assert (await llm.achat(QUESTION)).message.content == HELLO
    parts = [part.delta or "" async for part in await llm.astream_chat(QUESTION)]
    assert "".join(parts) == HELLO


def test_thinking(guide_server: Server):
    llm = Ollama("thinker", base_url=guide_server.url, thinking=True)
    answer = llm.chat(QUESTION).message
    thoughts = [block.content for block in answer.blocks if isinstance(block, ThinkingBlock)]
    assert (thoughts, answer.content) == ([REASONING], "Blue.")
    assert "".join(part.additional_kwargs["thinking_delta"] or "" for part in llm.stream_chat(QUESTION)) == (
        REASONING
    )


def test_tools_are_called_and_their_answers_read(llm: Ollama):
    tool = FunctionTool.from_defaults(get_weather)
    answer = llm.chat_with_tools([tool], user_msg="both", allow_parallel_tool_calls=True)
    calls = llm.get_tool_calls_from_response(answer)
    assert [(call.tool_name, call.tool_kwargs) for call in calls] == [
        ("get_weather", {"city": "Paris", "days": 2}),
        ("get_weather", {"city": "東京", "days": 1}),
    ]
    told = llm.predict_and_call([tool], user_msg="And now?")
    assert told.response == "sunny in Paris"
    turns = [*QUESTION, answer.message, ChatMessage("sunny", role="tool", tool_call_id="get_weather")]
    assert llm.chat_with_tools([tool], chat_history=turns).message.content == FORECAST


def test_structured_answers(llm: Ollama):
    ask = PromptTemplate("Which place?")
    assert llm.structured_predict(Place, ask) == Place(city="Paris", days=2)
    assert llm.as_structured_llm(Place).complete("Which place?").raw == Place(city="Paris", days=2)
    *_, last = llm.stream_structured_predict(Place, ask)
    assert last == Place(city="Paris", days=2)


def test_the_context_window_is_the_models(llm: Ollama):
    assert llm.metadata.context_window == 4096
