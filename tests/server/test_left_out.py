"""What no client reads as text, in every dialect: a call that was cut, reasoning that nobody wanted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.models import install, scripted_model
from tests.running import serving

TEMPLATE = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n"
    "{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if tools %}# Tools: {{ tools | tojson }}\n{% endif %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
SCRIPTS = {
    "caller": f"First:\n{CALL}\nDone.",
    "must": CALL,
    "thinker": "<think>\nLet me think.\n</think>\n\nBlue.",
}
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}
ASKED = [{"role": "user", "content": "hello"}]


class Dialect(NamedTuple):
    path: str
    fields: dict[str, Any]
    limit: str
    tools: list[dict[str, Any]]
    required: Any
    quiet: dict[str, Any]
    """What asks for no reasoning."""
    text: Callable[[dict[str, Any]], str]
    """Of a whole answer."""
    piece: Callable[[dict[str, Any]], str]
    """Of an event."""
    cut: Callable[[dict[str, Any]], bool]
    """Whether an answer says that it is not whole."""


def blocks(parts: list[dict[str, Any]]) -> str:
    return "".join(part.get("text", "") for part in parts)


DIALECTS = {
    "native": Dialect(
        "/api/chat",
        {"messages": ASKED},
        "num_predict",
        [TOOL],
        "required",
        {"think": False},
        lambda answer: answer["message"]["content"],
        lambda event: event["message"]["content"],
        lambda answer: answer["done_reason"] == "length",
    ),
    "openai": Dialect(
        "/v1/chat/completions",
        {"messages": ASKED},
        "max_tokens",
        [TOOL],
        "required",
        {"chat_template_kwargs": {"enable_thinking": False}},
        lambda answer: answer["choices"][0]["message"]["content"] or "",
        lambda event: event["choices"][0]["delta"].get("content") or "" if event["choices"] else "",
        lambda answer: answer["choices"][0]["finish_reason"] == "length",
    ),
    "responses": Dialect(
        "/v1/responses",
        {"input": "hello"},
        "max_output_tokens",
        [{"type": "function", "name": "weather", "parameters": SCHEMA}],
        "required",
        {"reasoning": {"effort": "none"}},
        lambda answer: blocks([part for item in answer["output"] for part in item.get("content") or []]),
        lambda event: event["delta"] if event["type"] == "response.output_text.delta" else "",
        lambda answer: answer["status"] == "incomplete",
    ),
    "anthropic": Dialect(
        "/v1/messages",
        {"messages": ASKED},
        "max_tokens",
        [{"name": "weather", "input_schema": SCHEMA}],
        {"type": "any"},
        {"thinking": {"type": "disabled"}},
        lambda answer: blocks(answer["content"]),
        lambda event: (
            event.get("delta", {}).get("text", "") if event["type"] == "content_block_delta" else ""
        ),
        lambda answer: answer["stop_reason"] == "max_tokens",
    ),
}


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("left_out")
    for name, script in SCRIPTS.items():
        letters = [bytes([byte]) for byte in script.encode()]
        scripted_model(folder / "model.gguf", letters, chat_template=TEMPLATE)
        install(folder / "models", name, folder / "model.gguf")
    with serving(folder / "models") as server, httpx.Client(base_url=server.url, timeout=60) as http:
        yield http


def asked(client: httpx.Client, dialect: Dialect, model: str, limit: int, **fields: Any) -> tuple[str, bool]:
    """The text of an answer, the same streamed or not, and whether it says that it was cut."""
    more = {"options": {"num_predict": limit}} if dialect.limit == "num_predict" else {dialect.limit: limit}
    body = {"model": model, **dialect.fields, **more, **fields}
    whole = client.post(dialect.path, json={**body, "stream": False}).raise_for_status().json()
    streamed = client.post(dialect.path, json={**body, "stream": True}).raise_for_status().text
    lines = [line.removeprefix("data: ") for line in streamed.splitlines()]
    events = [json.loads(line) for line in lines if line.startswith("{")]
    assert "".join(map(dialect.piece, events)) == dialect.text(whole)
    return dialect.text(whole), dialect.cut(whole)


each_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)


@each_dialect
def test_of_a_call_that_is_cut_nothing_is_text(client: httpx.Client, dialect: Dialect):
    for limit in (18, 19, 25, 40, 60, 70):
        said = asked(client, dialect, "caller", limit, tools=dialect.tools)
        assert said == ("First:", True), limit
    for limit in (1, 5, 11, 12, 14, 40, 62):
        fields = {"tools": dialect.tools, "tool_choice": dialect.required}
        assert asked(client, dialect, "must", limit, **fields) == ("", True), limit


@each_dialect
def test_a_call_leaves_the_text_around_it_apart(client: httpx.Client, dialect: Dialect):
    text, cut = asked(client, dialect, "caller", 400, tools=dialect.tools)
    assert (text, cut) == ("First:\nDone.", False)


@each_dialect
def test_reasoning_that_nobody_wanted_is_no_text(client: httpx.Client, dialect: Dialect):
    assert asked(client, dialect, "thinker", 400, **dialect.quiet) == ("Blue.", False)
    assert asked(client, dialect, "thinker", 400, tools=dialect.tools, **dialect.quiet) == ("Blue.", False)
    assert asked(client, dialect, "thinker", 20, **dialect.quiet) == ("", True)


def test_of_a_call_that_a_stop_string_cuts_nothing_is_text(client: httpx.Client):
    fields = {"tools": [TOOL], "options": {"stop": ["Paris"]}}
    answer = client.post(
        "/api/chat", json={"model": "caller", "messages": ASKED, "stream": False, **fields}
    ).json()
    assert (answer["message"]["content"], answer["done_reason"]) == ("First:", "stop")
    assert "tool_calls" not in answer["message"]
