"""POST /api/generate, from a request to the last byte of the answer."""

from __future__ import annotations

import json
from typing import Any

import httpx

from tests.server.conftest import SCRIPT, spelled


def ask(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    fields = {"model": "talker", "prompt": "hello", "stream": False, **fields}
    answer = http.post("/api/generate", json=fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def prompt_of(http: httpx.Client, **fields: Any) -> str:
    body = ask(http, **fields)
    return spelled(body["context"][: body["prompt_eval_count"]])


def test_a_whole_answer(http: httpx.Client):
    body = ask(http)
    # Of drafts there is word where there were some.
    assert [name for name in body if name not in ("draft_n", "draft_n_accepted")] == [
        "model", "created_at", "response", "done", "done_reason", "context",
        "total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration",
        "eval_count", "eval_duration",
    ]  # fmt: skip
    assert body["response"] == SCRIPT
    assert (body["done"], body["done_reason"]) == (True, "stop")


def test_a_stream(http: httpx.Client):
    answer = http.post("/api/generate", json={"model": "talker", "prompt": "hello"})
    *pieces, last = [json.loads(line) for line in answer.text.splitlines()]
    assert "".join(piece["response"] for piece in pieces) == SCRIPT
    assert {tuple(piece) for piece in pieces} == {("model", "created_at", "response", "done")}
    assert last["response"] == ""
    assert last["done"] is True
    assert last["context"]


def test_the_prompt_is_a_users_message(http: httpx.Client):
    system = "<|im_start|>system\nBriefly.<|im_end|>\n"
    rest = "<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    assert prompt_of(http) == system + rest
    assert prompt_of(http, system="Sing.") == system.replace("Briefly.", "Sing.") + rest


def test_a_template_takes_the_place_of_the_models(http: httpx.Client):
    assert prompt_of(http, template="{{ .System }}/{{ .Prompt }}/") == "Briefly./hello/"


def test_a_raw_prompt_goes_in_as_it_is_and_leaves_no_context(http: httpx.Client):
    body = ask(http, raw=True)
    assert body["response"] == SCRIPT
    assert "context" not in body
    assert body["prompt_eval_count"] == len("hello") + 1  # and the begin token


def test_a_context_comes_before_the_prompt(http: httpx.Client):
    first = ask(http)["context"]
    body = ask(http, context=first, prompt="again")
    assert body["context"][: len(first)] == first
    assert "user\nagain<" in spelled(body["context"][len(first) :])
    assert body["context"].count(first[0]) == first.count(first[0])  # no second begin token


def test_a_suffix_makes_a_fill_in_the_middle_prompt(http: httpx.Client):
    assert prompt_of(http, model="filler", suffix="end") == "(hello^end)"
    assert prompt_of(http, model="go", suffix="end") == "end|hello:"


def test_an_empty_prompt_loads_and_unloads(http: httpx.Client):
    body = ask(http, prompt="")
    assert set(body) == {"model", "created_at", "response", "done", "done_reason"}
    assert (body["response"], body["done_reason"]) == ("", "load")
    assert ask(http, prompt="", keep_alive="0s")["done_reason"] == "unload"


def test_json_is_held_to_by_the_sampler(http: httpx.Client):
    text = ask(http, format="json", options={"num_predict": 40})["response"]
    assert text.lstrip().startswith("{")
