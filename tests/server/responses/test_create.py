"""POST /v1/responses: whole answers and streams of a real server."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.running import serving
from tests.server.conftest import SCRIPT, add_models
from tests.server.responses.conftest import events, response
from tests.server.talkers import CALLS, PARAMETERS, REASONING
from tests.server.test_departures import wait_until_unloaded

TOOL = {"type": "function", "name": "weather", "parameters": PARAMETERS, "strict": True}
CALLED = [
    {"type": "function_call", "status": "completed", "name": name, "arguments": given}
    for name, given in CALLS
]


def ask(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/v1/responses", json={"model": "talker", "input": "hello", **fields})


def told(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    """The answer, which is the same whole and streamed."""
    answer = ask(http, **fields)
    assert answer.status_code == 200, answer.text
    stream = ask(http, stream=True, **fields)
    assert stream.headers["content-type"].startswith("text/event-stream")
    whole, built = answer.json(), response(events(stream.text))
    assert steady(whole) == steady(built)
    return whole


def steady(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer without what differs from one time to the next."""
    output = [{k: v for k, v in item.items() if k not in ("id", "call_id")} for item in answer["output"]]
    changing = ("id", "created_at", "completed_at")
    rest = {name: value for name, value in answer.items() if name not in changing}
    return {**rest, "output": output, "usage": answer["usage"]["output_tokens"]}


def test_an_answer(client: httpx.Client):
    body = told(client, metadata={"a": "b"}, temperature=0.5, instructions="Be brief.")
    assert body["id"].startswith("resp_")
    (item,) = body["output"]
    assert item.pop("id").startswith("msg_")
    part = {"type": "output_text", "text": SCRIPT, "annotations": [], "logprobs": []}
    assert item == {"type": "message", "status": "completed", "role": "assistant", "content": [part]}
    assert (body["object"], body["model"], body["status"]) == ("response", "talker", "completed")
    assert (body["metadata"], body["temperature"], body["top_p"]) == ({"a": "b"}, 0.5, 1.0)
    assert body["instructions"] == "Be brief."
    assert body["completed_at"] >= body["created_at"]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


def test_the_second_time_the_prompt_is_in_the_cache(client: httpx.Client):
    asked = {"input": "something long enough " * 10}
    counted = client.post("/v1/responses/input_tokens", json={"model": "talker", **asked}).json()
    ask(client, **asked)
    usage = ask(client, **asked).json()["usage"]
    assert counted == {"object": "response.input_tokens", "input_tokens": usage["input_tokens"]}
    assert usage["input_tokens_details"]["cached_tokens"] > 100


def test_reasoning_is_an_item_before_the_answer(client: httpx.Client):
    body = told(client, model="thinker")
    reasoning, message = body["output"]
    assert reasoning["summary"] == [{"type": "summary_text", "text": REASONING}]
    assert reasoning["encrypted_content"] is None
    assert message["content"][0]["text"] == "Blue."
    assert 0 < body["usage"]["output_tokens_details"]["reasoning_tokens"] < body["usage"]["output_tokens"]


def test_how_reasoning_was_asked_for_is_repeated(client: httpx.Client):
    body = told(client, model="thinker", reasoning={"effort": "high", "summary": "auto"})
    assert body["output"][0]["summary"] == [{"type": "summary_text", "text": REASONING}]
    assert body["reasoning"] == {"effort": "high", "summary": "auto"}


def test_no_effort_is_no_reasoning(client: httpx.Client):
    (item,) = told(client, model="caller", reasoning={"effort": "none"})["output"]
    assert item["type"] == "message"


def test_effort_is_refused_where_there_can_be_none(client: httpx.Client):
    answer = ask(client, reasoning={"effort": "low"})
    assert answer.status_code == 400
    assert "does not support thinking" in answer.json()["error"]["message"]


def test_calls(client: httpx.Client):
    body = told(client, model="caller", tools=[TOOL])
    message, *calls = body["output"]
    assert message["content"][0]["text"].strip() == "I look."
    assert [{**call, "arguments": json.loads(call["arguments"])} for call in calls] == [
        {**call, "id": made["id"], "call_id": made["call_id"]}
        for call, made in zip(CALLED, calls, strict=True)
    ]
    assert len({call["call_id"] for call in calls}) == 2
    assert (body["status"], body["tools"]) == ("completed", [TOOL])


def test_tools_of_openais_servers_are_left_out(client: httpx.Client):
    tools = [{"type": "web_search", "search_context_size": "low"}]
    body = told(client, tools=tools)
    assert body["tools"] == tools
    assert body["output"][0]["content"][0]["text"] == SCRIPT


def test_max_output_tokens(client: httpx.Client):
    body = told(client, max_output_tokens=2)
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert (body["output"][0]["status"], body["output"][0]["content"][0]["text"]) == ("incomplete", "The sky")


@pytest.mark.parametrize(
    "form",
    [
        {"type": "json_schema", "name": "place", "strict": True, "schema": PARAMETERS},
        {"type": "json_object"},
    ],
)
def test_structured_text(client: httpx.Client, form: dict[str, Any]):
    body = told(client, model="somewhere.example/me/writer:v1", text={"format": form})
    assert body["text"] == {"format": form, "verbosity": "medium"}
    assert json.loads(body["output"][0]["content"][0]["text"]) == CALLS[0][1]


def test_logprobs(client: httpx.Client):
    include = ["message.output_text.logprobs"]
    body = told(client, include=include, top_logprobs=2, max_output_tokens=3)
    part = body["output"][0]["content"][0]
    assert "".join(token["token"] for token in part["logprobs"]) == part["text"]
    for token in part["logprobs"]:
        assert bytes(token["bytes"]).decode() == token["token"]
        assert [len(token["top_logprobs"]), token["top_logprobs"][0]["token"]] == [2, token["token"]]


def test_going_on_from_an_answer(client: httpx.Client):
    def length(**fields: Any) -> int:
        return client.post("/v1/responses/input_tokens", json={"model": "talker", **fields}).json()[
            "input_tokens"
        ]

    first = ask(client, input="hello", instructions="x" * 500).json()
    second = ask(client, input="and", previous_response_id=first["id"]).json()
    assert second["previous_response_id"] == first["id"]
    said = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": SCRIPT},
        {"role": "user", "content": "and"},
        {"role": "assistant", "content": SCRIPT},
        {"role": "user", "content": "then"},
    ]
    assert length(input="then", previous_response_id=second["id"]) == length(input=said)


def test_items_may_be_named_by_their_ids(client: httpx.Client):
    question = {"role": "user", "content": "hello"}
    output = ask(client, model="caller", tools=[TOOL]).json()["output"]
    references = [{"type": "item_reference", "id": item["id"]} for item in output]

    def length(given: list[dict[str, Any]]) -> int:
        outputs = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": "sun"}
            for item in output
            if item["type"] == "function_call"
        ]
        asked = {"model": "caller", "tools": [TOOL], "input": [question, *given, *outputs]}
        return client.post("/v1/responses/input_tokens", json=asked).raise_for_status().json()["input_tokens"]

    assert length(references) == length(output) > length([]) + 10
    assert ask(client, model="caller", tools=[TOOL], input=[question, *references]).status_code == 200
    unknown = ask(client, input=[question, {"id": "msg_none"}])
    assert (unknown.status_code, unknown.json()["error"]) == (
        404,
        {
            "message": "Item with id 'msg_none' not found.",
            "type": "not_found_error",
            "param": "input[1]",
            "code": "item_not_found",
        },
    )


def test_what_a_tool_said_may_follow_on_the_answer_that_called(client: httpx.Client):
    first = ask(client, model="caller", tools=[TOOL]).json()
    outputs = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "sun"}
        for item in first["output"]
        if item["type"] == "function_call"
    ]
    body = ask(client, model="caller", tools=[TOOL], input=outputs, previous_response_id=first["id"])
    assert body.status_code == 200, body.text


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_is_kept_until_it_is_deleted(client: httpx.Client, stream: bool):
    answer = ask(client, stream=stream)
    body = response(events(answer.text)) if stream else answer.json()
    path = f"/v1/responses/{body['id']}"
    assert client.get(path).json() == body
    assert client.delete(path).json() == {"id": body["id"], "object": "response", "deleted": True}
    for gone in (client.get(path), client.delete(path)):
        assert gone.status_code == 404
        assert gone.json()["error"]["message"] == f"Response with id '{body['id']}' not found."
    refused = ask(client, previous_response_id=body["id"])
    assert refused.status_code == 400
    assert refused.json()["error"]["code"] == "previous_response_not_found"


def test_an_answer_that_is_not_to_be_kept_is_not(client: httpx.Client):
    body = ask(client, store=False).json()
    assert body["store"] is False
    assert client.get(f"/v1/responses/{body['id']}").status_code == 404


def test_reasoning_can_be_given_back_by_a_client_that_keeps_it(client: httpx.Client):
    include = ["reasoning.encrypted_content"]
    output = told(client, model="thinker", store=False, include=include)["output"]
    assert output[0]["encrypted_content"]
    again = ask(client, model="thinker", store=False, input=[{"role": "user", "content": "hello"}, *output])
    assert again.status_code == 200, again.text


def test_leaving_a_stream_ends_the_answer(client: httpx.Client):
    fields = {"model": "endless", "stream": True, "input": "go"}
    with client.stream("POST", "/v1/responses", json=fields) as answer:
        assert next(answer.iter_lines()) == "event: response.created"
    client.post("/api/generate", json={"model": "endless", "keep_alive": 0})
    wait_until_unloaded(client)


def test_an_engine_that_ends_is_told_of_in_the_stream(tmp_path: Path):
    store = tmp_path / "models"
    add_models(tmp_path / "model.gguf", store)
    with serving(store) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        fields = {"model": "endless", "stream": True, "input": "go"}
        answer = http.send(http.build_request("POST", "/v1/responses", json=fields), stream=True)
        with closing(answer):
            lines = answer.iter_lines()
            begun = [next(lines)]
            while "output_text.delta" not in begun[-1]:
                begun.append(next(lines))
            for engine in psutil.Process(server.process.pid).children(recursive=True):
                engine.kill()
            body = response(events("\n".join([*begun, *lines]) + "\n"))
    assert body["status"] == "failed"
    assert body["error"]["code"] == "server_error"
    assert body["error"]["message"]
    assert body["output"][0]["status"] == "incomplete"
