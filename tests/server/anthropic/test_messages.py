"""POST /v1/messages: whole answers and streams of a real server."""

from __future__ import annotations

import json
import re
from contextlib import closing
from typing import Any

import httpx
import psutil
import pytest

from tests.running import serving
from tests.server.anthropic.conftest import message
from tests.server.conftest import SCRIPT, add_models
from tests.server.events import named_events
from tests.server.talkers import CALLS, PARAMETERS, REASONING
from tests.server.test_departures import wait_until_unloaded

HELLO = [{"role": "user", "content": "hello"}]
TOOLS = [{"name": "weather", "description": "The weather to come.", "input_schema": PARAMETERS}]
CALLED = [{"type": "tool_use", "name": name, "input": given} for name, given in CALLS]


def ask(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/v1/messages", json={"model": "talker", "max_tokens": 500, "messages": HELLO, **fields})


def told(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    """The answer, which is the same whole and streamed."""
    answer = ask(http, **fields)
    assert answer.status_code == 200, answer.text
    stream = ask(http, stream=True, **fields)
    assert stream.headers["content-type"].startswith("text/event-stream")
    whole, built = answer.json(), message(named_events(stream.text))
    assert without_ids(whole) == without_ids(built)
    return whole


def without_ids(answer: dict[str, Any]) -> dict[str, Any]:
    content = [{k: v for k, v in block.items() if k != "id"} for block in answer["content"]]
    return {**answer, "id": "", "content": content, "usage": answer["usage"]["output_tokens"]}


def test_an_answer(claude: httpx.Client):
    body = told(claude)
    assert body.pop("id").startswith("msg_")
    usage = body.pop("usage")
    assert body == {
        "type": "message",
        "role": "assistant",
        "model": "talker",
        "content": [{"type": "text", "text": SCRIPT}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
    }
    assert usage["output_tokens"] > 3


def test_input_tokens_are_those_that_were_not_in_the_cache(claude: httpx.Client):
    chat_request = {"messages": [{"role": "user", "content": "something long enough " * 10}]}
    count = {"model": "talker", **chat_request}
    counted = claude.post("/v1/messages/count_tokens", json=count).json()
    first, second = (ask(claude, **chat_request).json()["usage"] for _ in range(2))
    for usage in (first, second):
        assert usage["input_tokens"] + usage["cache_read_input_tokens"] == counted["input_tokens"] > 100
        assert usage["input_tokens"] > 0
    assert second["cache_read_input_tokens"] > first["cache_read_input_tokens"]


def test_thinking_comes_first_and_signed_with_nothing(claude: httpx.Client):
    content = told(claude, model="thinker", thinking={"type": "enabled", "budget_tokens": 1024})["content"]
    assert content == [
        {"type": "thinking", "thinking": REASONING, "signature": ""},
        {"type": "text", "text": "Blue."},
    ]


def test_thinking_may_be_left_untold(claude: httpx.Client):
    content = told(claude, model="thinker", thinking={"type": "adaptive", "display": "omitted"})["content"]
    assert [block["type"] for block in content] == ["thinking", "text"]
    assert content[0]["thinking"] == ""


def test_a_model_that_cannot_think_just_answers(claude: httpx.Client):
    assert told(claude, thinking={"type": "enabled"})["content"] == [{"type": "text", "text": SCRIPT}]


def test_calls(claude: httpx.Client):
    body = told(claude, model="caller", tools=TOOLS)
    text, *calls = body["content"]
    assert text["text"].strip() == "I look."
    assert [{key: call[key] for key in ("type", "name", "input")} for call in calls] == CALLED
    assert len({call["id"] for call in calls}) == 2
    assert body["stop_reason"] == "tool_use"


def test_one_call_at_a_time(claude: httpx.Client):
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    content = ask(claude, model="caller", tools=TOOLS, tool_choice=choice).json()["content"]
    assert [block["type"] for block in content].count("tool_use") == 1


def test_no_tools_are_known_to_a_model_that_may_not_call(claude: httpx.Client):
    body = told(claude, model="caller", tools=TOOLS, tool_choice={"type": "none"})
    assert body["stop_reason"] == "end_turn"
    assert [block["type"] for block in body["content"]] == ["text"]


def test_a_stop_sequence_is_named(claude: httpx.Client):
    body = told(claude, stop_sequences=["nothing", " blue"])
    assert body["content"] == [{"type": "text", "text": "The sky is"}]
    assert (body["stop_reason"], body["stop_sequence"]) == ("stop_sequence", " blue")


def test_max_tokens(claude: httpx.Client):
    body = told(claude, max_tokens=2)
    assert body["content"] == [{"type": "text", "text": "The sky"}]
    assert (body["stop_reason"], body["usage"]["output_tokens"]) == ("max_tokens", 2)


def test_no_tokens_only_read_the_prompt(claude: httpx.Client):
    messages = [{"role": "user", "content": "to be read ahead " * 10}]
    body = told(claude, max_tokens=0, messages=messages)
    assert (body["content"], body["usage"]["output_tokens"]) == ([], 0)
    usage = ask(claude, messages=messages).json()["usage"]
    assert usage["cache_read_input_tokens"] > usage["input_tokens"]


def test_a_schema_holds_the_answer(claude: httpx.Client):
    name = "somewhere.example/me/writer:v1"
    body = told(claude, model=name, output_config={"format": {"type": "json_schema", "schema": PARAMETERS}})
    assert body["model"] == name
    assert json.loads(body["content"][0]["text"]) == CALLS[0][1]


def test_a_context_that_is_full_ends_the_answer(claude: httpx.Client):
    body = ask(claude, model="narrow", max_tokens=100_000).json()
    assert body["stop_reason"] == "model_context_window_exceeded"


def test_a_prompt_that_does_not_fit_is_refused_in_words_that_agents_know(claude: httpx.Client):
    refused = ask(claude, model="narrow", messages=[{"role": "user", "content": "too long " * 100}])
    assert refused.status_code == 400
    words = refused.json()["error"]["message"]
    counts = re.fullmatch(r"prompt is too long: (\d+) tokens > (\d+) maximum", words)
    assert counts, words
    assert int(counts[1]) > 800 > int(counts[2])


def test_leaving_a_stream_ends_the_answer(claude: httpx.Client):
    fields = {"model": "endless", "max_tokens": 100_000_000, "stream": True, "messages": HELLO}
    with claude.stream("POST", "/v1/messages", json=fields) as answer:
        assert next(answer.iter_lines()) == "event: message_start"
    claude.post("/api/generate", json={"model": "endless", "keep_alive": 0})
    wait_until_unloaded(claude)


def test_an_engine_that_ends_is_told_of_in_the_stream(tmp_path: Any):
    store = tmp_path / "models"
    add_models(tmp_path / "model.gguf", store)
    fields = {"model": "endless", "max_tokens": 100_000_000, "stream": True, "messages": HELLO}
    with serving(store) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        answer = http.send(http.build_request("POST", "/v1/messages", json=fields), stream=True)
        with closing(answer):
            lines = answer.iter_lines()
            next(line for line in lines if "text_delta" in line)
            for engine in psutil.Process(server.process.pid).children(recursive=True):
                engine.kill()
            name, data, _ = list(lines)[-3:]
            assert name == "event: error"
            error = json.loads(data.removeprefix("data: "))
    assert error["type"] == "error"
    assert error["error"]["type"] == "api_error"
    assert error["error"]["message"]
    assert error["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/messages?beta=true"])
def test_every_answer_has_a_request_id(claude: httpx.Client, path: str):
    body = {"model": "talker", "max_tokens": 1, "messages": HELLO}
    ids = {claude.post(path, json=body).headers["request-id"] for _ in range(2)}
    assert len(ids) == 2
    assert all(id.startswith("req_") for id in ids)
