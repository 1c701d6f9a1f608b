"""One real server whose models answer in every way that OpenAI's API has a place for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.models import install, scripted_model
from tests.running import Server, serving
from tests.server.conftest import SCRIPT, add_listener, add_models

THINKER = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% if message.reasoning_content %}<think>{{ message.reasoning_content }}</think>{% endif %}"
    "{{ message.content }}"
    "{% for call in message.tool_calls or [] %}"
    "<tool_call>\n{{ call.function | tojson }}\n</tool_call>{% endfor %}"
    "{% if message.name %}[{{ message.name }}]{% endif %}<|im_end|>\n{% endfor %}"
    "{% if tools %}# Tools: {{ tools | tojson }}\n{% endif %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)
"""A template like Qwen 3's: it takes tools, and switches thinking off by writing it out empty."""

REASONING = "Let me think."
CALLS = [("weather", {"city": "Paris", "days": 2}), ("weather", {"city": "東京", "days": 1})]


def words(text: str) -> list[str | bytes]:
    """A script of single characters, so that everything is cut everywhere."""
    return [bytes([byte]) for byte in text.encode()]


def add_speakers(gguf: Path, store: Path) -> None:
    """Put the models `thinker`, `caller`, `listener` and `somewhere.example/me/writer:v1` into a store."""
    scripted_model(gguf, words(f"<think>\n{REASONING}\n</think>\n\nBlue."), chat_template=THINKER)
    install(store, "thinker", gguf)
    written = [json.dumps({"name": name, "arguments": given}, ensure_ascii=False) for name, given in CALLS]
    calls = "\n".join(f"<tool_call>\n{call}\n</tool_call>" for call in written)
    scripted_model(gguf, words(f"<think>\n\n</think>\n\nI look. {calls}"), chat_template=THINKER)
    install(store, "caller", gguf)
    scripted_model(gguf, words('{"city": "Paris", "days": 2}'))
    install(store, "somewhere.example/me/writer:v1", gguf)
    scripted_model(gguf, SCRIPT)
    add_listener(gguf, store)


@pytest.fixture(scope="session")
def openai_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the models of `native_server` and of `add_speakers`."""
    folder = tmp_path_factory.mktemp("openai")
    store = folder / "models"
    add_models(folder / "model.gguf", store)
    add_speakers(folder / "model.gguf", store)
    with serving(store) as server:
        yield server


@pytest.fixture
def openai_http(openai_server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=openai_server.url, timeout=60) as client:
        yield client


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The chunks of a stream, which ends as it should."""
    assert answer.headers["content-type"].startswith("text/event-stream")
    *chunks, last, nothing = answer.text.split("\n\n")
    assert (last, nothing) == ("data: [DONE]", "")
    return [json.loads(chunk.removeprefix("data: ")) for chunk in chunks]
