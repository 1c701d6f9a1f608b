"""Conversations as they really come back: broken calls, odd roles, half a character; in every dialect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.models import install, scripted_model
from tests.running import serving

HEAD = "{%- for message in messages %}<{{ message.role }}>{{ message.content }}"
TAIL = "\n{% endfor %}"
CALL = "{% for call in message.tool_calls or [] %}[{{ call.function.name }} GIVEN]{% endfor %}"
PAIRS = "{% for name, value in call.function.arguments | items %}{{ name }}={{ value }};{% endfor %}"
TEMPLATES = {
    "items": PAIRS,
    "method": PAIRS.replace(" | items", ".items()"),
    "json": "{{ call.function.arguments | tojson }}",
    "either": "{% set given = call.function.arguments %}"
    "{% if given is string %}{{ given }}{% else %}{{ given | tojson }}{% endif %}",
    "mapping": "{% if call.function.arguments is mapping %}" + PAIRS + "{% endif %}",
    "printed": "{{ call.function.arguments }}",
}
GO = (
    "{{ range .Messages }}<{{ .Role }}>{{ .Content }}{{ range .ToolCalls }}[{{ .Function.Name }} "
    "{{ range $name, $value := .Function.Arguments }}{{ $name }}={{ $value }};{{ end }}]{{ end }}\n{{ end }}"
)
RENDERERS = [
    *(
        "cogito",
        "cohere",
        "deepseek3.1",
        "functiongemma",
        "gemma4",
        "glimmer",
        "glm-4.6",
        "glm-4.7",
        "glm-ocr",
    ),
    *("harmony", "laguna", "lfm2", "lfm2-thinking", "ministral", "nemotron-3-nano", "nemotron-3.5-nano"),
    *("olmo3", "olmo3.1", "ornith", "poolside-v1", "qwen3-coder", "qwen3-vl-instruct", "qwen3.5", "qwen3.8"),
]
BROKEN = ["not json", "[1]", '{"city": "Par', '{"a": NaN}', '"text"', "7", "", "null", '{"a": "\\ud83d"}']


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server with a model for each kind of template and renderer."""
    folder = tmp_path_factory.mktemp("history")
    gguf, store = folder / "model.gguf", folder / "models"
    for name, template in TEMPLATES.items():
        scripted_model(gguf, "Fine.", chat_template=HEAD + CALL.replace("GIVEN", template) + TAIL)
        install(store, name, gguf)
    scripted_model(gguf, "Fine.")
    install(store, "go", gguf, template=GO)
    for name in RENDERERS:
        install(store, name, gguf, config={"renderer": name, "parser": name})
    with serving(store) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


MODELS = [*TEMPLATES, "go", *RENDERERS]
QUESTION = {"role": "user", "content": "Weather?"}


def native(arguments: Any) -> tuple[str, dict[str, Any]]:
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "look", "arguments": arguments}}]}
    turns = [QUESTION, call, {"role": "tool", "tool_name": "look", "content": "no"}, QUESTION]
    return "/api/chat", {"messages": turns, "stream": False}


def openai(arguments: Any) -> tuple[str, dict[str, Any]]:
    call = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": arguments}}
    answer = {"role": "tool", "tool_call_id": "call_1", "content": "no"}
    turns = [QUESTION, {"role": "assistant", "content": None, "tool_calls": [call]}, answer, QUESTION]
    return "/v1/chat/completions", {"messages": turns}


def responses(arguments: Any) -> tuple[str, dict[str, Any]]:
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": arguments}
    answer = {"type": "function_call_output", "call_id": "call_1", "output": "no"}
    return "/v1/responses", {"input": [QUESTION, call, answer, QUESTION]}


def anthropic(arguments: Any) -> tuple[str, dict[str, Any]]:
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": arguments}
    answer = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "no"}
    turns = [
        QUESTION,
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [answer, {"type": "text", "text": "And?"}]},
    ]
    return "/v1/messages", {"messages": turns, "max_tokens": 5}


@pytest.mark.parametrize("model", MODELS)
def test_broken_arguments_do_not_end_a_conversation(http: httpx.Client, model: str):
    for arguments in BROKEN:
        for asked in (native, openai, responses, anthropic):
            path, body = asked(arguments)
            answer = http.post(path, json={"model": model, **body})
            assert answer.status_code == 200, (path, arguments, answer.text)


@pytest.mark.parametrize("asked", [native, openai])
@pytest.mark.parametrize("model", MODELS)
def test_the_model_reads_what_it_wrote(http: httpx.Client, model: str, asked: Any):
    path, body = asked('{"city": "Par')
    answer = http.post(path, json={"model": model, **body, "_debug_render_only": True})
    prompt = answer.json()["_debug_info"]["rendered_template"]
    # As it is, or as a text in JSON.
    assert '{"city": "Par' in prompt or json.dumps('{"city": "Par')[1:-1] in prompt


@pytest.mark.parametrize("role", ["control", "developer", "function", "document 1", "ipython", ""])
@pytest.mark.parametrize("model", ["items", "go"])
@pytest.mark.parametrize("path", ["/api/chat", "/v1/chat/completions"])
def test_a_template_gets_any_role(http: httpx.Client, path: str, model: str, role: str):
    odd = {"role": role, "content": "thinking"}
    body = {"model": model, "messages": [odd, QUESTION], "stream": False}
    answer = http.post(path, json={**body, "_debug_render_only": True})
    prompt = answer.json()["_debug_info"]["rendered_template"]
    known = {"developer": "system", "function": "tool"} if path.startswith("/v1") else {}
    assert prompt.startswith(f"<{known.get(role, role)}>thinking")
    assert http.post(path, json=body).status_code == 200


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("nothing", [{"content": ""}, {"content": None, "tool_calls": []}])
def test_an_empty_last_answer_is_not_continued(http: httpx.Client, model: str, nothing: dict[str, Any]):
    def prompt(*messages: dict[str, Any]) -> str:
        body = {"model": model, "messages": messages, "stream": False, "_debug_render_only": True}
        return http.post("/api/chat", json=body).json()["_debug_info"]["rendered_template"]

    assert prompt(QUESTION, {"role": "assistant", **nothing}) == prompt(QUESTION)


@pytest.mark.parametrize("model", RENDERERS)
def test_no_renderer_ends_at_a_role(http: httpx.Client, model: str):
    for role in ("control", "developer", "document 1", ""):
        messages = [{"role": role, "content": "x"}, QUESTION, {"role": role, "content": "y"}, QUESTION]
        answer = http.post("/api/chat", json={"model": model, "messages": messages, "stream": False})
        assert answer.status_code == 200, answer.text


def test_a_template_may_refuse_a_role(http: httpx.Client, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("strict")
    refuse = "{% if message.role == 'wizard' %}{{ raise_exception('no wizards') }}{% endif %}"
    scripted_model(folder / "m.gguf", "Fine.", chat_template=HEAD + refuse + TAIL)
    install(folder / "models", "strict", folder / "m.gguf")
    body = {"model": "strict", "messages": [{"role": "wizard", "content": ""}, QUESTION], "stream": False}
    with serving(folder / "models") as server:
        answer = httpx.post(f"{server.url}/api/chat", json=body, timeout=60)
    assert (answer.status_code, answer.json()) == (400, {"error": "no wizards"})


HALF = (
    rb'{"model": "go", "messages": [{"role": "user", "content": "Hi \ud83d"}], "max_tokens": 5, '
    rb'"stream": false}'
)
INPUT = rb'{"model": "go", "input": "Hi \ud83d"}'


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/chat", HALF),
        ("/v1/chat/completions", HALF),
        ("/v1/messages", HALF),
        ("/v1/messages/count_tokens", HALF),
        ("/v1/responses", INPUT),
        ("/v1/responses/input_tokens", INPUT),
        ("/api/generate", rb'{"model": "go", "prompt": "Hi \ud83d", "stream": false}'),
        ("/v1/completions", rb'{"model": "go", "prompt": "Hi \ud83d"}'),
        ("/api/tokenize", rb'{"model": "go", "text": "Hi \ud83d"}'),
    ],
)
def test_half_a_character_does_not_end_a_conversation(http: httpx.Client, path: str, body: bytes):
    for sent in (body, body.replace(rb"\ud83d", b"\xe9"), body + b"\n{}", body.replace(b"model", b"MODEL")):
        answer = http.post(path, content=sent)
        assert answer.status_code == 200, answer.text


def test_half_a_character_is_read_as_one_that_cannot_be_shown(http: httpx.Client):
    body = HALF.replace(b"{", b'{"_debug_render_only": true, ', 1)
    prompt = http.post("/api/chat", content=body).json()["_debug_info"]["rendered_template"]
    assert prompt == "<user>Hi \ufffd\n"
