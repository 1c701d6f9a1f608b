"""POST /api/chat, from a request to the last byte of the answer."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from tests.server.conftest import SCRIPT, spelled

HELLO = {"model": "talker", "messages": [{"role": "user", "content": "hello"}]}
MEASURES = {
    "total_duration", "load_duration",
    "prompt_eval_count", "prompt_eval_duration",
    "eval_count", "eval_duration",
}  # fmt: skip


def ask(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/api/chat", json={**HELLO, **fields})


def test_a_whole_answer(http: httpx.Client):
    answer = ask(http, stream=False)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    body = answer.json()
    assert list(body)[:5] == ["model", "created_at", "message", "done", "done_reason"]
    # Of drafts there is word where there were some.
    named = set(body) - {"draft_n", "draft_n_accepted"}
    assert named == {"model", "created_at", "message", "done", "done_reason", "context"} | MEASURES
    assert body["model"] == "talker"
    assert body["message"] == {"role": "assistant", "content": SCRIPT}
    assert body["done"] is True
    assert body["done_reason"] == "stop"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", body["created_at"])
    assert all(type(body[name]) is int for name in MEASURES)
    assert min(body["total_duration"], body["load_duration"], body["eval_count"], body["eval_duration"]) > 0
    assert body["total_duration"] >= body["prompt_eval_duration"] + body["eval_duration"]
    assert len(body["context"]) >= body["prompt_eval_count"]


def test_a_stream_is_lines_of_json_until_done(http: httpx.Client):
    answer = ask(http)
    assert answer.headers["content-type"] == "application/x-ndjson"
    *pieces, last = [json.loads(line) for line in answer.text.splitlines()]
    assert len(pieces) > 3
    assert "".join(piece["message"]["content"] for piece in pieces) == SCRIPT
    for piece in pieces:
        assert list(piece) == ["model", "created_at", "message", "done"]
        assert piece["message"]["role"] == "assistant"
        assert piece["done"] is False
    assert last["message"] == {"role": "assistant", "content": ""}
    # Of drafts there is word where there were some.
    drafts = {"draft_n", "draft_n_accepted"}
    assert set(last) - drafts == {"model", "created_at", "message", "done", "done_reason"} | MEASURES


def test_a_stream_as_events(http: httpx.Client):
    answer = http.post("/api/chat", json=HELLO, headers={"accept": "text/event-stream"})
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.endswith("\n\n")
    events = [json.loads(event.removeprefix("data: ")) for event in answer.text.split("\n\n")[:-1]]
    assert "".join(event["message"]["content"] for event in events) == SCRIPT
    assert events[-1]["done"] is True


def test_a_body_is_read_whatever_its_type(http: httpx.Client):
    body = json.dumps({**HELLO, "stream": False}).encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = http.post("/api/chat", content=body, headers=headers)
    assert answer.json()["message"]["content"] == SCRIPT


def prompt_of(http: httpx.Client, **fields: Any) -> str:
    return spelled(ask(http, stream=False, **fields).json()["context"])


def test_the_prompt_is_rendered_with_the_models_template_and_system_text(http: httpx.Client):
    assert prompt_of(http).startswith(
        "<|im_start|>system\nBriefly.<|im_end|>\n<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n"
    )


def test_a_system_message_takes_the_place_of_the_models(http: httpx.Client):
    messages = [{"role": "System", "content": "Sing."}, {"role": "user", "content": "hello"}]
    prompt = prompt_of(http, messages=messages)
    assert prompt.startswith("<|im_start|>system\nSing.<|im_end|>\n<|im_start|>user\nhello")
    assert "Briefly." not in prompt


def test_content_may_be_a_list_of_parts(http: httpx.Client):
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert "user\none\ntwo<" in prompt_of(http, messages=[{"role": "user", "content": parts}])


def test_a_model_with_a_go_template_uses_it(http: httpx.Client):
    assert prompt_of(http, model="go").startswith("hello:")


def test_old_messages_leave_a_prompt_that_would_not_fit(http: httpx.Client):
    old = {"role": "user", "content": "x" * 300}
    messages = [old, {"role": "assistant", "content": "y"}, {"role": "user", "content": "hello"}]
    prompt = prompt_of(http, messages=messages, options={"num_ctx": 256})
    assert "xxx" not in prompt
    assert "user\nhello" in prompt


@pytest.mark.parametrize(
    ("options", "reason"), [({"num_predict": 2}, "length"), ({"stop": [" blue"]}, "stop")]
)
def test_options_reach_the_engine(http: httpx.Client, options: dict[str, Any], reason: str):
    body = ask(http, stream=False, options=options).json()
    assert body["done_reason"] == reason
    assert body["message"]["content"] in ("The sky", "The sky is")


@pytest.mark.parametrize("stream", [None, True, False])
@pytest.mark.parametrize(
    "fields", [{"messages": []}, {"messages": [], "keep_alive": 0}, {"_debug_render_only": True}]
)
def test_a_request_without_an_answer_gets_one_object(
    http: httpx.Client, fields: dict[str, Any], stream: bool | None
):
    answer = ask(http, stream=stream, **fields)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.json()["model"] == "talker"


def test_no_messages_load_and_unload(http: httpx.Client):
    def loaded() -> list[str]:
        return [model["name"] for model in http.get("/api/ps").json()["models"]]

    body = ask(http, messages=[], stream=False).json()
    assert set(body) == {"model", "created_at", "message", "done", "done_reason"}
    assert body["message"] == {"role": "assistant", "content": ""}
    assert (body["done"], body["done_reason"]) == (True, "load")
    assert "talker:latest" in loaded()

    body = ask(http, messages=[], keep_alive=0).json()
    assert (body["done"], body["done_reason"]) == (True, "unload")
    assert "talker:latest" not in loaded()


@pytest.mark.parametrize(
    ("keep_alive", "seconds"), [(60, 60), ("90s", 90), (1e6, 1e6), (-1, 9.2e9), (None, 300)]
)
def test_keep_alive_says_when_the_model_leaves(
    http: httpx.Client, keep_alive: float | str | None, seconds: float
):
    from datetime import datetime

    ask(http, messages=[], keep_alive=keep_alive)
    (model,) = [m for m in http.get("/api/ps").json()["models"] if m["name"] == "talker:latest"]
    left = datetime.fromisoformat(model["expires_at"]) - datetime.now().astimezone()
    assert left.total_seconds() == pytest.approx(seconds, rel=0.2)
