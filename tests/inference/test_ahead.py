"""A request that is wrong is refused before a model is loaded for it: nobody's model has to leave."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.hearing_models import hearing_model, silent_mp3
from tests.inference.drawn import corners, file
from tests.models import CHATML, install, install_with_projector, scripted_model
from tests.running import serving
from tests.vision_models import vision_model

STRICT = "{% if messages[0].role == 'wizard' %}{{ raise_exception('no wizards') }}{% endif %}" + CHATML
FAILING = "{{ messages[0].content / 2 }}"
DEEP: dict[str, Any] = {"type": "string"}
for _ in range(400):
    DEEP = {"type": "array", "items": DEEP}

WHOLE = base64.b64encode(file(corners(), "PNG")).decode()
CUT = base64.b64encode(file(corners(), "PNG")[:-40]).decode()
NONE = base64.b64encode(b"GIF89a and nothing else").decode()
SOUND = base64.b64encode(silent_mp3(1)).decode()


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server that has room for one model."""
    folder = tmp_path_factory.mktemp("ahead")
    gguf, store = folder / "model.gguf", folder / "models"
    scripted_model(gguf, "Here.")
    install(store, "here", gguf)
    templates = {"talker": CHATML, "strict": STRICT, "failing": FAILING}
    for name, template in templates.items():
        scripted_model(gguf, "Fine.", chat_template=template)
        install(store, name, gguf)
    install_with_projector(store, "seer", *vision_model(folder))
    install_with_projector(store, "hearer", *hearing_model(folder))
    with (
        serving(store, OLLAMA_MAX_LOADED_MODELS="1") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def chat(model: str, content: str = "Hi", role: str = "user", **fields: Any) -> tuple[str, dict[str, Any]]:
    images = fields.pop("images", None)
    message = {"role": role, "content": content, **({"images": images} if images else {})}
    return "/api/chat", {"model": model, "messages": [message], "stream": False, **fields}


def generate(model: str, **fields: Any) -> tuple[str, dict[str, Any]]:
    return "/api/generate", {"model": model, "prompt": "Hi", "stream": False, **fields}


TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}
WRONG = {
    "a picture that is cut short": (chat("seer", images=[CUT]), 400),
    "a picture that is none": (chat("seer", images=[NONE]), 400),
    "a second picture": (chat("seer", images=[WHOLE, CUT]), 400),
    "a picture to complete": (generate("seer", images=[CUT]), 400),
    "a raw prompt with a picture": (generate("seer", images=[CUT], raw=True), 400),
    "a sound that is too short": (chat("hearer", images=[SOUND]), 400),
    "a schema too deep": (chat("talker", format=DEEP), 400),
    "a schema that no answer fits": (
        generate("talker", format={"type": "string", "pattern": r"(a)\1"}),
        400,
    ),
    "a tool whose parameters are no object": (chat("talker", tools=[TOOL]), 400),
    "a role that the template refuses": (chat("strict", role="wizard"), 400),
    "a template that fails": (chat("failing"), 500),
    "a template of its own": (generate("talker", template="{{ .Prompt"), 400),
    "a template of its own that fails": (generate("talker", template="{{ slice .Prompt 9 }}"), 400),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_unloads_no_model(http: httpx.Client, name: str):
    (path, body), status = WRONG[name]
    assert http.post("/api/generate", json={"model": "here"}).status_code == 200
    answer = http.post(path, json=body)
    assert answer.status_code == status, answer.text
    assert [model["name"] for model in http.get("/api/ps").json()["models"]] == ["here:latest"]
    # The same once it is loaded.
    http.post("/api/generate", json={"model": body["model"]})
    again = http.post(path, json=body)
    assert (again.status_code, again.json()) == (answer.status_code, answer.json())


@pytest.mark.parametrize(
    ("path", "body"),
    [
        chat("talker"),
        chat("seer", images=[WHOLE], options={"num_predict": 1}),
        chat("talker", format={"type": "object"}, options={"num_predict": 3}),
        generate("talker", system="Be brief."),
        generate("talker", raw=True),
        generate("talker", template="{{ .Prompt }}"),
    ],
)
def test_the_answer_is_the_same_from_a_model_that_was_loaded_for_it(
    http: httpx.Client, path: str, body: dict[str, Any]
):
    key = "message" if path == "/api/chat" else "response"
    body = {**body, "options": {"temperature": 0, **body.get("options", {})}}
    http.post("/api/generate", json={"model": "here"})
    cold = http.post(path, json=body).json()
    warm = http.post(path, json=body).json()
    assert (cold[key], cold.get("context")) == (warm[key], warm.get("context"))
