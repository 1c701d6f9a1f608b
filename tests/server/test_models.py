"""What is in the library and in memory, and the paths that say who is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from puna import __version__
from puna.settings import OLLAMA_LEVEL
from tests.running import Server

DETAILS = {"parent_model", "format", "family", "families", "parameter_size", "quantization_level"}


def test_the_root_says_what_clients_look_for(http: httpx.Client):
    answer = http.get("/")
    assert answer.text == "Ollama is running"
    assert answer.headers["content-type"].startswith("text/plain")


def test_the_version_is_the_level_of_the_api_and_our_own(http: httpx.Client):
    assert http.get("/api/version").json() == {"version": OLLAMA_LEVEL, "puna": __version__}


@pytest.mark.parametrize("path", ["/", "/api/version", "/api/tags"])
def test_head_has_no_body(http: httpx.Client, path: str):
    answer = http.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_tags_list_the_models(http: httpx.Client):
    models = {model["name"]: model for model in http.get("/api/tags").json()["models"]}
    assert {"talker:latest", "go:latest", "vectors:latest", "broken:latest"} <= set(models)
    talker = models["talker:latest"]
    assert talker["model"] == "talker:latest"
    assert set(talker["details"]) >= DETAILS
    assert talker["details"]["family"] == "llama"
    assert len(talker["digest"]) == 64
    assert talker["capabilities"] == ["completion"]
    lengths = {name: talker["details"][name] for name in ("context_length", "embedding_length")}
    assert lengths == {"context_length": 4096, "embedding_length": 320}
    assert models["vectors:latest"]["capabilities"] == ["embedding"]


def test_ps_lists_what_is_loaded(http: httpx.Client):
    http.post("/api/generate", json={"model": "go", "keep_alive": 0})
    http.post("/api/generate", json={"model": "go", "options": {"num_ctx": 512}})
    (model,) = [m for m in http.get("/api/ps").json()["models"] if m["name"] == "go:latest"]
    assert set(model) == {
        "name", "model", "size", "digest", "details", "expires_at", "size_vram", "context_length",
    }  # fmt: skip
    assert model["context_length"] == 512
    assert model["size"] > 0
    tagged = {m["name"]: m["digest"] for m in http.get("/api/tags").json()["models"]}
    assert model["digest"] == tagged["go:latest"]


@pytest.mark.parametrize("field", ["model", "name"])
def test_show(http: httpx.Client, field: str):
    body = http.post("/api/show", json={field: "talker"}).json()
    assert body["system"] == "Briefly."
    assert body["details"]["format"] == "gguf"
    assert body["model_info"]["general.architecture"] == "llama"
    assert {"name", "type", "shape"} == set(body["tensors"][0])
    assert http.post("/api/show", json={field: "talker", "verbose": True}).json()["tensors"]


def test_show_lays_over_what_the_request_brings(http: httpx.Client):
    asked = {"model": "talker", "system": "Loudly.", "template": "{{ .Prompt }}!", "options": {"top_k": 3}}
    body = http.post("/api/show", json=asked).json()
    assert (body["system"], body["template"]) == ("Loudly.", "{{ .Prompt }}!")
    assert "Loudly." in body["modelfile"]
    assert "PARAMETER top_k 3" in body["modelfile"]
    assert "top_k" not in body.get("parameters", "")
    assert http.post("/api/show", json={"model": "talker"}).json()["system"] == "Briefly."


def test_show_writes_values_as_go_does(http: httpx.Client):
    info = http.post("/api/show", json={"model": "talker"}).json()["model_info"]
    assert info["llama.attention.layer_norm_rms_epsilon"] == 1e-05
    verbose = http.post("/api/show", json={"model": "talker", "verbose": True}).json()["model_info"]
    assert len(verbose["tokenizer.ggml.tokens"]) > 5
    assert info["tokenizer.ggml.tokens"] in (None, verbose["tokenizer.ggml.tokens"])


@pytest.mark.parametrize("name", [" talker", "talker ", "\ttalker:latest\n"])
def test_blanks_around_a_name_are_no_part_of_it(http: httpx.Client, name: str):
    assert http.post("/api/show", json={"model": name}).status_code == 200


@pytest.mark.parametrize(
    ("path", "asked", "message"),
    [
        ("show", {}, "model 'nope:latest' not found"),
        ("generate", {}, "model 'nope' not found"),
        ("chat", {"messages": [{"role": "user", "content": "a"}]}, "model 'nope' not found"),
        ("embed", {"input": "a"}, 'model "nope" not found, try pulling it first'),
        ("embeddings", {"prompt": "a"}, 'model "nope" not found, try pulling it first'),
    ],
)
def test_a_missing_model_is_named_as_ollama_does(
    http: httpx.Client, path: str, asked: dict[str, Any], message: str
):
    answer = http.post(f"/api/{path}", json={"model": "nope", **asked})
    assert (answer.status_code, answer.json()) == (404, {"error": message})


def test_an_editor_that_shows_the_basename_gets_the_name_that_was_asked_for(http: httpx.Client):
    editor = {"User-Agent": "GitHubCopilotChat/0.41.1"}
    shown = http.post("/api/show", json={"model": "talker"}, headers=editor).json()
    assert shown["model_info"]["general.basename"] == "talker"
    other = http.post("/api/show", json={"model": "talker"}).json()
    assert other["model_info"].get("general.basename") != "talker"


def test_copy_then_delete(server: Server, add_scripted: Callable[..., Any]):
    add_scripted("first", "words")

    def names() -> set[str]:
        return {model["name"] for model in http.get("/api/tags").json()["models"]}

    with httpx.Client(base_url=server.url) as http:
        copied = http.post("/api/copy", json={"source": "first", "destination": "me/second:v2"})
        assert (copied.status_code, copied.content) == (200, b"")
        assert names() == {"first:latest", "me/second:v2"}
        deleted = http.request("DELETE", "/api/delete", json={"model": "first"})
        assert (deleted.status_code, deleted.content) == (200, b"")
        assert names() == {"me/second:v2"}
        again = http.request("DELETE", "/api/delete", json={"name": "first"})
        assert (again.status_code, again.json()) == (404, {"error": "model 'first' not found"})
