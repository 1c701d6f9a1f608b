"""POST /api/create: from blobs and from models, in a stream and whole, and what it refuses."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from puna.errors import NotFound
from puna.library import Library, Recipe
from puna.server.native.create import _create_steps
from puna.server.services import Services
from puna.types import Progress
from tests.inference.drawn import corners, file
from tests.library.create.making import small_gguf
from tests.models import install, install_with_projector, scripted_model
from tests.running import Server, serving
from tests.server.conftest import uploaded
from tests.vision_models import vision_model

MISSING = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def creating(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, str]]:
    """A server with the model `base`, and the digest of its weights."""
    folder = tmp_path_factory.mktemp("create")
    scripted_model(folder / "model.gguf", "Hello there.", metadata={"general.file_type": 0})
    install(folder / "models", "base", folder / "model.gguf", system="Be brief.")
    digest = hashlib.sha256((folder / "model.gguf").read_bytes()).hexdigest()
    with serving(folder / "models") as server:
        yield server, f"sha256:{digest}"


@pytest.fixture
def client(creating: tuple[Server, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=creating[0].url, timeout=60) as opened:
        yield opened


@pytest.fixture
def digest(creating: tuple[Server, str]) -> str:
    return creating[1]


def said(client: httpx.Client, model: str) -> str:
    body = {"model": model, "prompt": "hi", "stream": False, "options": {"num_ctx": 512}, "keep_alive": 0}
    return client.post("/api/generate", json=body).json()["response"]


def test_a_model_from_an_uploaded_file_answers(client: httpx.Client, tmp_path: Path):
    scripted_model(tmp_path / "m.gguf", "Quite another.")
    digest = uploaded(client, tmp_path / "m.gguf")
    answer = client.post("/api/create", json={"model": "uploaded", "files": {"m.gguf": digest}})
    assert answer.headers["content-type"] == "application/x-ndjson"
    *steps, stops, written, last = [json.loads(line) for line in answer.text.splitlines()]
    assert steps == [
        {"status": "parsing GGUF"},
        {"status": f"using existing layer {digest}"},
        {"status": "using autodetected template chatml"},
    ]
    assert stops["status"].startswith("creating new layer sha256:")
    assert [written, last] == [{"status": "writing manifest"}, {"status": "success"}]
    assert said(client, "uploaded") == "Quite another."


def test_a_model_from_another_without_a_stream(client: httpx.Client):
    body = {
        "name": "mario",
        "from": "base",
        "system": "You are Mario.",
        "license": "MIT",
        "parameters": {"temperature": 0, "stop": ["a"]},
        "messages": [{"role": "user", "content": "hi"}],
        "template": "{{ .System }}{{ .Prompt }}",
        "renderer": "",
        "stream": False,
    }
    answer = client.post("/api/create", json=body)
    assert (answer.status_code, answer.json()) == (200, {"status": "success"})
    shown = client.post("/api/show", json={"model": "mario"}).json()
    assert (shown["system"], shown["license"], shown["template"]) == (
        "You are Mario.",
        "MIT",
        "{{ .System }}{{ .Prompt }}",
    )
    assert shown["messages"] == [{"role": "user", "content": "hi"}]
    assert shown["details"]["parent_model"] == "base:latest"
    assert said(client, "mario") == "Hello there."


def test_an_architecture_with_a_renderer_of_its_own_is_made_with_it(client: httpx.Client, tmp_path: Path):
    digest = uploaded(client, small_gguf(tmp_path / "m.gguf", "laguna", laguna__block_count=1))
    body = {"model": "lagoon", "files": {"m.gguf": digest}, "stream": False}
    assert client.post("/api/create", json=body).json() == {"status": "success"}
    shown = client.post("/api/show", json={"model": "lagoon"}).json()
    assert "PARSER laguna" in shown["modelfile"]
    assert {"tools", "thinking"} <= {*shown["capabilities"]}


def test_a_quantized_model_answers(client: httpx.Client, digest: str):
    body = {"model": "small", "files": {"m.gguf": digest}, "quantize": "q8_0"}
    steps = [json.loads(line) for line in client.post("/api/create", json=body).text.splitlines()]
    assert steps[-1] == {"status": "success"}
    assert "quantizing F32 model to Q8_0" in [step["status"] for step in steps]
    shown = client.post("/api/show", json={"model": "small"}).json()
    assert shown["details"]["quantization_level"] == "Q8_0"
    assert said(client, "small") == "Hello there."


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"from": "base"}, "invalid model name"),
        ({"model": "../x", "from": "base"}, "invalid model name"),
        ({"model": "x"}, "neither 'from' or 'files' was specified"),
        ({"model": "x", "from": "../y"}, "invalid model name"),
        ({"model": "x", "files": {}}, "no files provided to convert"),
        ({"model": "x", "files": {"../m.gguf": MISSING}}, 'file path must be relative: "../m.gguf"'),
        ({"model": "x", "files": {"m.gguf": ""}}, "invalid digest format"),
        ({"model": "x", "files": {"m.gguf": MISSING}}, f"m.gguf: blob {MISSING} not found"),
        ({"model": "x", "files": 1}, 'invalid value for "files"'),
        ({"model": "x", "from": "base", "parameters": {"tempo": 1}}, "unknown parameter 'tempo'"),
        (
            {"model": "x", "from": "base", "parameters": {"seed": "a"}},
            'option "seed" must be of type integer',
        ),
        ({"model": "x", "from": "base", "template": "{{ .Prompt"}, "template error: template: "),
        ({"model": "x", "from": "base", "quantize": "q9"}, "unsupported quantization type Q9"),
        ({"model": "x", "from": "base", "license": 1}, 'invalid value for "license"'),
        ({"model": "x", "from": "base", "draft_files": {"d": MISSING}}, f"d: blob {MISSING} not found"),
        ({"model": "x", "from": "base", "draft_files": {"../d": MISSING}}, "file path must be relative"),
        ({"model": "x", "from": "base", "draft": "a", "draft_files": {"d": MISSING}}, "'draft' and 'draft_f"),
        ({"model": "x", "from": "base", "draft": "../y"}, "invalid model name"),
        ({"model": "x", "from": "base", "draft_quantize": "q4_0"}, "draft_quantize requires a DRAFT model"),
        ({"model": "x", "from": "base", "draft": "base"}, "draft model 'base': it is the model itself"),
    ],
)
@pytest.mark.parametrize("stream", [True, False])
def test_what_cannot_be_made_is_refused(
    client: httpx.Client, body: dict[str, Any], message: str, stream: bool
):
    answer = client.post("/api/create", json={**body, "stream": stream})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)
    assert client.post("/api/show", json={"model": "x"}).status_code == 404


def test_an_error_after_the_first_step_ends_the_stream(client: httpx.Client, tmp_path: Path):
    (tmp_path / "m.gguf").write_bytes(b"GGUF but not one")
    digest = uploaded(client, tmp_path / "m.gguf")
    answer = client.post("/api/create", json={"model": "x", "files": {"m.gguf": digest}})
    steps = [json.loads(line) for line in answer.text.splitlines()]
    assert (answer.status_code, steps[0]) == (200, {"status": "parsing GGUF"})
    assert steps[1]["error"].startswith("unable to load model m.gguf: ")


class Puller:
    """Stands in for pulls, which have tests of their own: it puts the model into the library."""

    def __init__(self, library: Library, gguf: Path) -> None:
        self._library, self._gguf = library, gguf

    async def follow(self, name: str) -> AsyncGenerator[Progress, None]:
        if name == "nobody":
            raise NotFound("pull model manifest: file does not exist")
        yield Progress(status="pulling manifest")
        install(self._library.root, name, self._gguf)
        yield Progress(status="success")


async def test_a_base_that_is_not_here_is_pulled_first(store: Path, tmp_path: Path):
    scripted_model(tmp_path / "m.gguf", "hello")
    library = Library(store)
    services = cast(Services, SimpleNamespace(library=library, pulls=Puller(library, tmp_path / "m.gguf")))
    told = [step.status async for step in _create_steps(services, "mine", Recipe(base="theirs", system="S"))]
    assert (told[0], told[-1], told.count("success")) == ("pulling manifest", "success", 1)
    assert library.open("mine").system == "S"
    wanted = "model 'nobody' is not here, and cannot be pulled: pull model manifest: file does not exist"
    with pytest.raises(NotFound, match=wanted):
        _ = [step async for step in _create_steps(services, "other", Recipe(base="nobody"))]


def test_a_base_from_a_registry_that_is_out_of_reach(client: httpx.Client):
    base = "127.0.0.1:1/me/theirs"
    whole = client.post("/api/create", json={"model": "x", "from": base, "stream": False})
    streamed = client.post("/api/create", json={"model": "x", "from": base})
    wanted = f"model '{base}' is not here, and cannot be pulled: pull model manifest: cannot reach "
    assert whole.status_code == 500
    assert whole.json()["error"].startswith(wanted)
    *steps, last = [json.loads(line) for line in streamed.text.splitlines()]
    assert steps == [{"status": "pulling manifest"}]
    assert last["error"].startswith(wanted)


def test_messages_with_pictures_are_part_of_the_model(tmp_path: Path):
    store, drawn = tmp_path / "models", base64.b64encode(file(corners(), "PNG")).decode()
    install_with_projector(store, "seer", *vision_model(tmp_path))
    picture = {"type": "image", "url": f"data:image/png;base64,{drawn}"}
    messages = [
        {"role": "user", "content": "What is it?", "images": [drawn]},
        {"role": "assistant", "content": "Four colours."},
        {"role": "user", "content": [{"type": "text", "text": "And"}, picture]},
    ]
    with serving(store) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        asked = {"model": "knows", "from": "seer", "messages": messages, "stream": False}
        assert client.post("/api/create", json=asked).json() == {"status": "success"}
        body = {"model": "knows", "messages": [{"role": "user", "content": "Why?"}], "stream": False}
        shown = client.post("/api/chat", json={**body, "_debug_render_only": True}).json()["_debug_info"]
        assert shown["image_count"] == 2
        assert "[img-0]What is it?" in shown["rendered_template"]
        assert "And[img-1]" in shown["rendered_template"]
        answer = client.post("/api/chat", json={**body, "options": {"num_predict": 1}})
        assert answer.status_code == 200
    # As Ollama reads and writes them.
    stored = Library(store).open("knows").messages
    assert [message.content for message in stored] == ["What is it?", "Four colours.", "And[img]"]
    assert [len(message.images) for message in stored] == [1, 0, 1]


CHATML = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def test_the_chat_template_of_a_bare_file_is_recognized(client: httpx.Client, tmp_path: Path):
    scripted_model(tmp_path / "m.gguf", "Known.", chat_template=CHATML)
    digest = uploaded(client, tmp_path / "m.gguf")

    steps = client.post("/api/create", json={"model": "bare", "files": {"m.gguf": digest}}).text
    assert "using autodetected template chatml" in steps
    shown = client.post("/api/show", json={"model": "bare"}).json()
    assert ".Messages" in shown["template"]
    assert "{%" not in shown["template"]
    assert sorted(line.split(maxsplit=1)[1] for line in shown["parameters"].splitlines()) == [
        '"<|im_end|>"',
        '"<|im_start|>"',
    ]
    # The Go form has no system message of its own.
    rendered = {"model": "bare", "messages": [{"role": "user", "content": "hi"}], "_debug_render_only": True}
    answer = client.post("/api/chat", json=rendered | {"stream": False}).json()
    assert answer["_debug_info"]["rendered_template"] == (
        "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    )


def test_what_a_recipe_says_comes_before_what_is_recognized(client: httpx.Client, tmp_path: Path):
    scripted_model(tmp_path / "m.gguf", "Known too.", chat_template=CHATML)
    digest = uploaded(client, tmp_path / "m.gguf")

    def made(**given: Any) -> dict[str, Any]:
        client.post(
            "/api/create", json={"model": "own", "files": {"m.gguf": digest}, **given}
        ).raise_for_status()
        return client.post("/api/show", json={"model": "own"}).json()

    templated = made(template="T{{ .Prompt }}")
    assert templated["template"] == "T{{ .Prompt }}"
    assert "<|im_end|>" in templated["parameters"]
    assert "<|im_end|>" in made(parameters={"top_k": 3})["parameters"]
    stopped = made(parameters={"stop": ["ENOUGH"]})["parameters"]
    assert "ENOUGH" in stopped
    assert "<|im_end|>" not in stopped
