"""POST /v1/chat/completions."""

from __future__ import annotations

import json
import math
from typing import Any

import httpx
import jsonschema
import pytest

from tests.server.conftest import SCRIPT
from tests.server.openai.conftest import events
from tests.server.talkers import CALLS, PARAMETERS, REASONING

HELLO = [{"role": "user", "content": "hello"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather to come.",
        "parameters": PARAMETERS,
        "strict": True,
    },
}


def ask(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/v1/chat/completions", json={"model": "talker", "messages": HELLO, **fields})


def told(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = ask(http, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def streamed(http: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    return events(ask(http, stream=True, **fields))


def text_of(chunks: list[dict[str, Any]], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk["choices"] if choice["index"] == index]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def prompt_of(http: httpx.Client, **fields: Any) -> str:
    return told(http, _debug_render_only=True, **fields)["_debug_info"]["rendered_template"]


def test_a_whole_answer(openai_http: httpx.Client):
    body = told(openai_http)
    assert body["id"].startswith("chatcmpl-")
    assert (body["object"], body["model"]) == ("chat.completion", "talker")
    assert body["system_fingerprint"] == "fp_puna"
    assert body["choices"] == [
        {
            "index": 0,
            "message": {"role": "assistant", "content": SCRIPT, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ]
    usage = body["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert min(usage["prompt_tokens"], usage["completion_tokens"]) > 3


def test_the_second_time_the_prompt_is_in_the_cache(openai_http: httpx.Client):
    messages = [{"role": "user", "content": "something long enough " * 10}]
    told(openai_http, messages=messages)
    usage = told(openai_http, messages=messages)["usage"]
    assert 0 < usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]


def test_a_stream(openai_http: httpx.Client):
    first, *middle, last = chunks = streamed(openai_http)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    assert all("usage" not in chunk for chunk in chunks)
    assert first["choices"] == [
        {
            "index": 0,
            "delta": {"role": "assistant", "content": ""},
            "logprobs": None,
            "finish_reason": None,
        }
    ]
    assert last["choices"] == [{"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}]
    assert len(middle) > 3
    assert text_of(chunks) == SCRIPT


def test_a_stream_with_usage(openai_http: httpx.Client):
    *chunks, last = streamed(openai_http, stream_options={"include_usage": True})
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    whole = told(openai_http)["usage"]
    counted = ("prompt_tokens", "completion_tokens", "total_tokens")
    assert [last["usage"][name] for name in counted] == [whole[name] for name in counted]
    # How much was cached or drafted depends on what came before, so only the names are compared.
    assert {name: set(value) for name, value in last["usage"].items() if isinstance(value, dict)} == {
        name: set(value) for name, value in whole.items() if isinstance(value, dict)
    }


@pytest.mark.parametrize("limit", [{"max_tokens": 3}, {"max_completion_tokens": 3, "max_tokens": 1000}])
def test_an_answer_is_cut_at_its_limit(openai_http: httpx.Client, limit: dict[str, int]):
    body = told(openai_http, **limit)
    assert body["choices"][0]["finish_reason"] == "length"
    assert body["usage"]["completion_tokens"] == 3
    assert streamed(openai_http, **limit)[-1]["choices"][0]["finish_reason"] == "length"


@pytest.mark.parametrize("stop", [" is", [" nothing", " is"]])
def test_an_answer_ends_before_a_stop_string(openai_http: httpx.Client, stop: Any):
    choice = told(openai_http, stop=stop)["choices"][0]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("The sky", "stop")


@pytest.mark.parametrize("name", ["reasoning_effort", "reasoning"])
def test_reasoning_is_apart(openai_http: httpx.Client, name: str):
    effort = {"effort": "low"} if name == "reasoning" else "low"
    message = told(openai_http, model="thinker", **{name: effort})["choices"][0]["message"]
    assert message["reasoning"] == message["reasoning_content"] == REASONING
    assert message["content"] == "Blue."


def test_reasoning_is_streamed_apart(openai_http: httpx.Client):
    chunks = streamed(openai_http, model="thinker", reasoning_effort="medium")
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    for name in ("reasoning", "reasoning_content"):
        assert "".join(delta.get(name, "") for delta in deltas) == REASONING
    assert not any("reasoning" in delta and "content" in delta for delta in deltas)
    assert text_of(chunks) == "Blue."


def test_reasoning_is_switched_off(openai_http: httpx.Client):
    assert prompt_of(openai_http, model="thinker", reasoning_effort="none").endswith("</think>\n\n")
    assert prompt_of(openai_http, model="thinker", reasoning_effort="high").endswith("assistant\n")


@pytest.mark.parametrize(
    ("off", "on"),
    [
        (
            {"chat_template_kwargs": {"enable_thinking": False}},
            {"chat_template_kwargs": {"enable_thinking": 1}},
        ),
        ({"chat_template_kwargs": {"thinking": False}}, {"chat_template_kwargs": {"thinking": True}}),
        (
            {"chat_template_kwargs": {"reasoning_effort": "none"}},
            {"chat_template_kwargs": {"reasoning_effort": "high"}},
        ),
        ({"think": False}, {"think": "high"}),
        ({"think": "none", "enable_thinking": True}, {"think": True, "enable_thinking": False}),
        ({"enable_thinking": False}, {"enable_thinking": True}),
        ({"thinking": {"type": "disabled"}}, {"thinking": {"type": "enabled", "clear_thinking": True}}),
        ({"thinking": False}, {"thinking": {"type": ["odd"]}, "think": 1, "enable_thinking": "perhaps"}),
    ],
)
def test_reasoning_is_switched_off_as_for_other_servers(
    openai_http: httpx.Client, off: dict[str, Any], on: dict[str, Any]
):
    assert prompt_of(openai_http, model="thinker", **off).endswith("</think>\n\n")
    assert prompt_of(openai_http, model="thinker", reasoning_effort="low", **off).endswith("assistant\n")
    assert prompt_of(openai_http, model="thinker", **on).endswith("assistant\n")
    # A model that cannot reason answers, too.
    assert told(openai_http, **on)["choices"][0]["message"]["content"] == SCRIPT


def test_a_model_that_cannot_reason_refuses_to(openai_http: httpx.Client):
    assert ask(openai_http, reasoning_effort="none").status_code == 200
    answer = ask(openai_http, reasoning_effort="high")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == '"talker" does not support thinking'


def assert_calls(calls: list[dict[str, Any]]) -> None:
    assert len({call["id"] for call in calls}) == len(CALLS)
    assert {call["type"] for call in calls} == {"function"}
    functions = [call["function"] for call in calls]
    assert [(each["name"], json.loads(each["arguments"])) for each in functions] == CALLS


def test_tool_calls(openai_http: httpx.Client):
    choice = told(openai_http, model="caller", tools=[WEATHER])["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"].strip() == "I look."
    assert_calls(choice["message"]["tool_calls"])


def test_tool_calls_are_streamed_whole(openai_http: httpx.Client):
    chunks = streamed(openai_http, model="caller", tools=[WEATHER])
    calls = [call for chunk in chunks for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    assert [call["index"] for call in calls] == [0, 1]
    assert_calls(calls)
    assert text_of(chunks).strip() == "I look."
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_functions_are_answered_as_they_once_were(openai_http: httpx.Client):
    asked = {"model": "caller", "functions": [WEATHER["function"]]}
    choice = told(openai_http, **asked)["choices"][0]
    assert choice["finish_reason"] == "function_call"
    call = choice["message"]["function_call"]
    assert (call["name"], json.loads(call["arguments"])) == CALLS[0]
    assert "tool_calls" not in choice["message"]
    chunks = streamed(openai_http, **asked, function_call={"name": "weather"}, reasoning_effort="none")
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert [delta["function_call"]["name"] for delta in deltas if "function_call" in delta] == ["weather"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "function_call"
    assert told(openai_http, **asked, function_call="none")["choices"][0]["finish_reason"] == "stop"


def test_a_conversation_with_functions_reaches_the_template(openai_http: httpx.Client):
    messages = [
        {"role": "user", "content": "Where?"},
        {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}},
        {"role": "function", "name": "weather", "content": "sunny"},
    ]
    assert prompt_of(openai_http, model="thinker", messages=messages, reasoning_effort="low") == (
        "<|im_start|>user\nWhere?<|im_end|>\n<|im_start|>assistant\n"
        '<tool_call>\n{"name": "weather", "arguments": {}}\n</tool_call><|im_end|>\n'
        "<|im_start|>tool\nsunny[weather]<|im_end|>\n<|im_start|>assistant\n"
    )


def test_tools_and_parts_may_be_written_as_in_responses(openai_http: httpx.Client):
    flat = {"type": "function", **WEATHER["function"]}
    chosen = {"type": "function", "name": "weather"}
    parts = [{"type": "input_text", "text": "Where?"}]
    plain = prompt_of(
        openai_http, model="thinker", tools=[WEATHER], messages=[{"role": "user", "content": "Where?"}]
    )
    messages = [{"role": "user", "content": parts}]
    assert (
        prompt_of(openai_http, model="thinker", tools=[flat], tool_choice=chosen, messages=messages) == plain
    )


def test_no_tool_is_called_when_none_may_be(openai_http: httpx.Client):
    choice = told(openai_http, model="caller", tools=[WEATHER], tool_choice="none")["choices"][0]
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize(
    "choice",
    [
        "required",
        {"type": "function", "function": {"name": "weather"}},
        {
            "type": "allowed_tools",
            "allowed_tools": {
                "mode": "required",
                "tools": [{"type": "function", "function": {"name": "weather"}}],
            },
        },
    ],
)
def test_a_required_call_is_the_first_thing_said(openai_http: httpx.Client, choice: Any):
    other = {"type": "function", "function": {"name": "other"}}
    fields = {"model": "caller", "tools": [WEATHER, other], "reasoning_effort": "none", "seed": 1}
    answer = told(openai_http, tool_choice=choice, parallel_tool_calls=False, max_tokens=400, **fields)
    message = answer["choices"][0]["message"]
    assert message["content"] is None
    (call,) = message["tool_calls"]
    assert call["function"]["name"] == "weather"


def test_a_conversation_with_tools_reaches_the_template(openai_http: httpx.Client):
    messages = [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {
            "role": "assistant",
            "content": None,
            "reasoning_content": "Which city?",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Paris"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": [{"type": "text", "text": "sunny"}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]},
        {"role": "user", "content": "and now?"},
    ]
    assert prompt_of(openai_http, model="thinker", messages=messages, reasoning_effort="low") == (
        "<|im_start|>system\nBe brief.<|im_end|>\n"
        "<|im_start|>user\none\ntwo<|im_end|>\n"
        "<|im_start|>assistant\n<think>Which city?</think>"
        '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call><|im_end|>\n'
        "<|im_start|>tool\nsunny[weather]<|im_end|>\n"
        "<|im_start|>assistant\nNo.<|im_end|>\n"
        "<|im_start|>user\nand now?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_the_tools_reach_the_template_as_ollama_has_them(openai_http: httpx.Client):
    prompt = prompt_of(openai_http, model="thinker", tools=[WEATHER])
    written = json.loads(prompt.partition("# Tools: ")[2].partition("\n")[0])
    function = {name: WEATHER["function"][name] for name in ("name", "description", "parameters")}
    assert written == [{"type": "function", "function": function}]


@pytest.mark.parametrize("model", ["talker", "thinker"])
def test_an_answer_fits_its_schema(openai_http: httpx.Client, model: str):
    schema = {
        "type": "object",
        "properties": {"color": {"enum": ["red", "blue"]}, "sure": {"type": "boolean"}},
        "required": ["color", "sure"],
        "additionalProperties": False,
    }
    wanted = {"type": "json_schema", "json_schema": {"name": "sky", "strict": True, "schema": schema}}
    message = told(openai_http, model=model, response_format=wanted)["choices"][0]["message"]
    jsonschema.validate(json.loads(message["content"]), schema)


def test_an_answer_is_a_json_object(openai_http: httpx.Client):
    body = told(openai_http, model="somewhere.example/me/writer:v1", response_format={"type": "json_object"})
    assert json.loads(body["choices"][0]["message"]["content"]) == {"city": "Paris", "days": 2}
    plain = told(openai_http, response_format={"type": "text"})
    assert plain["choices"][0]["message"]["content"] == SCRIPT


def assert_logprobs(tokens: list[dict[str, Any]], most: int) -> None:
    assert b"".join(bytes(token["bytes"]) for token in tokens) == SCRIPT.encode()
    for token in tokens:
        assert set(token) == {"token", "logprob", "bytes", "top_logprobs"}
        assert -0.01 < token["logprob"] <= 0
        assert len(token["top_logprobs"]) == most
        if most:
            best, *others = token["top_logprobs"]
            assert best == {name: token[name] for name in ("token", "logprob", "bytes")}
            assert all(other["logprob"] < -50 and math.isfinite(other["logprob"]) for other in others)


@pytest.mark.parametrize("most", [0, 3])
def test_logprobs(openai_http: httpx.Client, most: int):
    choice = told(openai_http, logprobs=True, top_logprobs=most)["choices"][0]
    assert choice["logprobs"]["refusal"] is None
    assert_logprobs(choice["logprobs"]["content"], most)
    chunks = streamed(openai_http, logprobs=True, top_logprobs=most)
    given = [chunk["choices"][0]["logprobs"] for chunk in chunks]
    assert_logprobs([token for each in given if each for token in each["content"]], most)


def test_logprobs_are_of_the_content_alone(openai_http: httpx.Client):
    choice = told(openai_http, model="thinker", logprobs=True)["choices"][0]
    said = b"".join(bytes(token["bytes"]) for token in choice["logprobs"]["content"]).decode()
    assert said.endswith("Blue.")
    assert REASONING not in said


def test_a_bias_moves_the_choice_of_a_token(openai_http: httpx.Client):
    def token(text: str) -> str:
        body = {"model": "talker", "text": text}
        (token,) = openai_http.post("/api/tokenize", json=body).json()["tokens"]
        return str(token)

    body = told(openai_http, logit_bias={token(" sky"): -100, token(" blue:"): 100})
    assert body["choices"][0]["message"]["content"] == SCRIPT.replace(" sky is", "")


def test_choices_side_by_side(openai_http: httpx.Client):
    body = told(openai_http, n=3)
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2]
    assert {choice["message"]["content"] for choice in body["choices"]} == {SCRIPT}
    one = told(openai_http)["usage"]
    assert body["usage"]["prompt_tokens"] == one["prompt_tokens"]
    assert body["usage"]["completion_tokens"] == 3 * one["completion_tokens"]


def test_choices_streamed_side_by_side(openai_http: httpx.Client):
    chunks = streamed(openai_http, n=3, stream_options={"include_usage": True})
    assert [text_of(chunks, index) for index in range(3)] == [SCRIPT] * 3
    for index in range(3):
        own = [chunk["choices"][0] for chunk in chunks[:-1] if chunk["choices"][0]["index"] == index]
        assert own[0]["delta"]["role"] == "assistant"
        assert [choice["finish_reason"] for choice in own] == [None] * (len(own) - 1) + ["stop"]
    assert chunks[-1]["usage"]["completion_tokens"] == 3 * told(openai_http)["usage"]["completion_tokens"]


def test_each_choice_has_a_seed_of_its_own(openai_http: httpx.Client):
    def said(**fields: Any) -> list[str]:
        body = told(openai_http, temperature=100, max_tokens=8, **fields)
        return [choice["message"]["content"] for choice in body["choices"]]

    first = said(n=3, seed=7)
    assert len(set(first)) == 3
    assert said(n=3, seed=7) == first
    assert said(seed=8) == [first[1]]


def test_closing_a_stream_ends_every_choice(openai_http: httpx.Client):
    body = {"model": "endless", "messages": HELLO, "stream": True, "n": 4}
    with openai_http.stream("POST", "/v1/chat/completions", json=body) as answer:
        assert answer.status_code == 200
        next(answer.iter_raw())
    # An answer that still ran would hold its place and this would wait for ever.
    assert told(openai_http, model="endless", n=4, max_tokens=2)["usage"]["completion_tokens"] == 8


def test_the_prompt_is_shown_instead_of_answered(openai_http: httpx.Client):
    body = told(openai_http, _debug_render_only=True, stream=True)
    assert "hello" in body["_debug_info"]["rendered_template"]
    assert body["_debug_info"]["image_count"] == 0
    assert body["choices"][0]["finish_reason"] is None
