"""POST /v1/completions."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.model_parts import FIRST_BYTE
from tests.server.conftest import SCRIPT
from tests.server.openai.conftest import events

HELLO = [FIRST_BYTE + byte for byte in b"hello"]


def ask(http: httpx.Client, **fields: Any) -> httpx.Response:
    return http.post("/v1/completions", json={"model": "talker", "prompt": "hello", **fields})


def told(http: httpx.Client, **fields: Any) -> dict[str, Any]:
    answer = ask(http, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()


def streamed(http: httpx.Client, **fields: Any) -> list[dict[str, Any]]:
    return events(ask(http, stream=True, **fields))


def text_of(chunks: list[dict[str, Any]], index: int = 0) -> str:
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    return "".join(choice["text"] for choice in choices if choice["index"] == index)


def prompt_of(http: httpx.Client, **fields: Any) -> str:
    return told(http, _debug_render_only=True, **fields)["_debug_info"]["rendered_template"]


def test_a_whole_answer(openai_http: httpx.Client):
    body = told(openai_http)
    assert body["id"].startswith("cmpl-")
    assert (body["object"], body["model"]) == ("text_completion", "talker")
    assert body["choices"] == [{"index": 0, "text": SCRIPT, "logprobs": None, "finish_reason": "stop"}]
    assert body["usage"]["completion_tokens"] > 3


def test_a_stream(openai_http: httpx.Client):
    *chunks, last = streamed(openai_http, stream_options={"include_usage": True})
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None] * (len(chunks) - 1) + ["stop"]
    assert text_of(chunks) == SCRIPT
    assert all(chunk["usage"] is None for chunk in chunks)
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] == told(openai_http)["usage"]["completion_tokens"]


def test_an_echo(openai_http: httpx.Client):
    assert told(openai_http, echo=True)["choices"][0]["text"] == f"hello{SCRIPT}"
    assert text_of(streamed(openai_http, echo=True)) == f"hello{SCRIPT}"
    assert told(openai_http, prompt=HELLO, echo=True)["choices"][0]["text"] == f"hello{SCRIPT}"


def test_a_text_is_put_into_the_template_and_tokens_are_not(openai_http: httpx.Client):
    assert prompt_of(openai_http).endswith("<|im_start|>user\nhello<|im_end|>\n<|im_start|>assistant\n")
    assert prompt_of(openai_http, prompt=HELLO) == "hello"
    assert prompt_of(openai_http, prompt=[HELLO]) == "hello"


def test_several_prompts_of_several_choices(openai_http: httpx.Client):
    prompts = ["one", "three of them"]
    body = told(openai_http, prompt=prompts, n=2, best_of=2, echo=True)
    assert [choice["index"] for choice in body["choices"]] == [0, 1, 2, 3]
    assert [choice["text"] for choice in body["choices"]] == [
        prompt + SCRIPT for prompt in prompts for _ in range(2)
    ]
    alone = [told(openai_http, prompt=prompt)["usage"] for prompt in prompts]
    assert body["usage"]["prompt_tokens"] == sum(usage["prompt_tokens"] for usage in alone)
    assert body["usage"]["completion_tokens"] == 2 * sum(usage["completion_tokens"] for usage in alone)


def test_several_prompts_are_streamed_side_by_side(openai_http: httpx.Client):
    chunks = streamed(openai_http, prompt=[HELLO, HELLO[:3]], echo=True)
    assert [text_of(chunks, index) for index in range(2)] == [f"hello{SCRIPT}", f"hel{SCRIPT}"]


def test_more_prompts_than_are_answered_at_once(openai_http: httpx.Client):
    body = told(openai_http, prompt=[f"{number}" for number in range(40)], max_tokens=1, echo=True)
    assert [choice["text"] for choice in body["choices"]] == [f"{number}The" for number in range(40)]


def test_a_suffix(openai_http: httpx.Client):
    assert prompt_of(openai_http, model="filler", prompt="def", suffix="end") == "(def^end)"
    answer = ask(openai_http, suffix="end")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].endswith("talker:latest does not support insert")


def test_an_empty_prompt_says_nothing(openai_http: httpx.Client):
    choice = told(openai_http, prompt="")["choices"][0]
    assert (choice["text"], choice["finish_reason"]) == ("", "stop")


def test_reasoning_is_left_out(openai_http: httpx.Client):
    assert told(openai_http, model="thinker")["choices"][0]["text"] == "Blue."
    assert text_of(streamed(openai_http, model="thinker")) == "Blue."


def assert_logprobs(parts: list[dict[str, Any]], most: int) -> None:
    tokens, logprobs, likeliest, offsets = (
        [entry for part in parts for entry in part[name]]
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    )
    assert tokens[:3] == ["The", " sky", " is"]
    assert len(tokens) == len(logprobs) == len(likeliest) == len(offsets)
    assert all(-0.01 < logprob <= 0 for logprob in logprobs)
    assert all(
        len(top) == max(most, 1) and token in top for top, token in zip(likeliest, tokens, strict=True)
    )
    for token, offset in zip(tokens, offsets, strict=True):
        if "�" not in token:
            assert SCRIPT.startswith(token, offset)


@pytest.mark.parametrize("most", [0, 2])
def test_logprobs(openai_http: httpx.Client, most: int):
    assert_logprobs([told(openai_http, logprobs=most)["choices"][0]["logprobs"]], most)
    chunks = streamed(openai_http, logprobs=most)
    assert_logprobs([given for chunk in chunks if (given := chunk["choices"][0]["logprobs"])], most)


def test_a_limit_and_a_stop_string(openai_http: httpx.Client):
    cut = told(openai_http, max_tokens=2)["choices"][0]
    assert (cut["text"], cut["finish_reason"]) == ("The sky", "length")
    stopped = told(openai_http, stop=[" is"])["choices"][0]
    assert (stopped["text"], stopped["finish_reason"]) == ("The sky", "stop")


def echoed(parts: list[dict[str, Any]], text: str) -> None:
    """The tokens are those of `text`, maybe with a begin and an end token; nothing is before the first."""
    tokens, logprobs, likeliest, offsets = (
        [entry for part in parts for entry in part[name]]
        for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")
    )
    assert len(tokens) == len(logprobs) == len(likeliest) == len(offsets)
    assert (logprobs[0], likeliest[0]) == (None, None)
    for token, logprob, top in zip(tokens[1:], logprobs[1:], likeliest[1:], strict=True):
        assert logprob <= 0
        assert token in top
        assert len(top) <= 3
    written = [
        (offset, token)
        for offset, token in zip(offsets, tokens, strict=True)
        if "\N{REPLACEMENT CHARACTER}" not in token and token not in ("<s>", "</s>")
    ]
    assert [(offset, token) for offset, token in written if not text.startswith(token, offset)] == []
    assert written[-1][0] + len(written[-1][1]) == len(text)


@pytest.mark.parametrize("prompt", ["hello", HELLO])
def test_an_echo_with_its_probabilities(openai_http: httpx.Client, prompt: str | list[int]):
    body = told(openai_http, prompt=prompt, echo=True, logprobs=2)
    choice = body["choices"][0]
    assert choice["text"] == f"hello{SCRIPT}"
    echoed([choice["logprobs"]], choice["text"])
    usage = body["usage"]
    assert len(choice["logprobs"]["tokens"]) == usage["prompt_tokens"] + usage["completion_tokens"]
    chunks = streamed(openai_http, prompt=prompt, echo=True, logprobs=2)
    assert text_of(chunks) == choice["text"]
    parts = [given for chunk in chunks if (given := chunk["choices"][0]["logprobs"])]
    echoed(parts, choice["text"])
    assert [token for part in parts for token in part["tokens"]] == choice["logprobs"]["tokens"]


def test_only_the_prompt_and_its_probabilities(openai_http: httpx.Client):
    prompts = [HELLO, HELLO[:2]]
    body = told(openai_http, prompt=prompts, echo=True, logprobs=1, max_tokens=0)
    for choice, text, tokens in zip(body["choices"], ["hello", "he"], prompts, strict=True):
        assert (choice["text"], choice["finish_reason"]) == (text, "length")
        assert len(choice["logprobs"]["tokens"]) == len(tokens)
        echoed([choice["logprobs"]], text)
    assert body["usage"]["prompt_tokens"] == sum(len(tokens) for tokens in prompts)
    assert body["usage"]["completion_tokens"] == 0


def test_no_answer_at_all(openai_http: httpx.Client):
    assert told(openai_http, max_tokens=0)["choices"][0]["text"] == ""
    assert told(openai_http, max_tokens=0, echo=True)["choices"][0]["text"] == "hello"
    assert text_of(streamed(openai_http, max_tokens=0, echo=True)) == "hello"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("prompt", "param"),
    [([5, 99999], "prompt[1]"), ([HELLO, [5, 6, 99999]], "prompt[1][2]"), ([[99999]], "prompt[0][0]")],
)
def test_an_id_that_is_no_token_is_named(openai_http: httpx.Client, prompt: Any, param: str, stream: bool):
    body = {"model": "talker", "prompt": prompt, "stream": stream}
    answer = openai_http.post("/v1/completions", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_ids_are_not_cut_anew(openai_http: httpx.Client):
    # Spelled and read again, these would be one token, or three times as many.
    for tokens in ([1, 2, 3, 4], [2, 2], HELLO * 3):
        assert told(openai_http, prompt=tokens, max_tokens=1)["usage"]["prompt_tokens"] == len(tokens)
