"""`kv_cache_type` from a request, a model and the environment, through a real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.models import install, scripted_model, shape_model
from tests.running import serving

SCRIPT = "All is well."


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`talker`, `small` with a type of its own, and `odd`, whose heads are of 24 numbers."""
    folder = tmp_path_factory.mktemp("kv")
    scripted_model(folder / "talker.gguf", SCRIPT)
    install(folder / "models", "talker", folder / "talker.gguf")
    install(folder / "models", "small", folder / "talker.gguf", parameters={"kv_cache_type": "q4_0"})
    shape_model(folder / "odd.gguf", width=48)
    install(folder / "models", "odd", folder / "odd.gguf")
    return folder / "models"


@pytest.fixture(scope="module")
def http(store: Path) -> Iterator[httpx.Client]:
    with serving(store) as server, httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


def generated(http: httpx.Client, model: str, **options: Any) -> httpx.Response:
    body = {"model": model, "prompt": "Hi", "stream": False, "options": {"num_predict": 8} | options}
    return http.post("/api/generate", json=body)


@pytest.mark.parametrize("kind", ["f16", "bf16", "f32", "q8_0", "q4_0", "Q8_0", None])
def test_a_request_chooses_the_type(http: httpx.Client, kind: str | None):
    answer = generated(http, "talker", kv_cache_type=kind)
    assert answer.status_code == 200
    assert answer.json()["response"] == SCRIPT


@pytest.mark.parametrize("kind", ["q8", "", "q5_1", 8, True, ["q8_0"], {}])
def test_an_unknown_type_is_refused_with_the_list(http: httpx.Client, kind: Any):
    answer = generated(http, "talker", kv_cache_type=kind)
    assert answer.status_code == 400
    for known in ("kv_cache_type", "f16", "bf16", "f32", "q8_0", "q4_0"):
        assert known in answer.json()["error"]


@pytest.mark.parametrize("kind", ["q8_0", "q4_0"])
def test_heads_that_do_not_hold_whole_blocks_are_refused_by_name(http: httpx.Client, kind: str):
    answer = generated(http, "odd", kv_cache_type=kind)
    assert answer.status_code == 400
    assert kind in answer.json()["error"]
    assert "24" in answer.json()["error"]
    assert generated(http, "odd", kv_cache_type="bf16").status_code == 200


def test_a_model_has_its_own_type(http: httpx.Client):
    assert generated(http, "small").json()["response"] == SCRIPT
    shown = http.post("/api/show", json={"model": "small"}).json()
    assert 'PARAMETER kv_cache_type "q4_0"' in shown["modelfile"]


def test_create_takes_a_type_and_refuses_an_unknown_one(http: httpx.Client):
    body = {"model": "made", "from": "talker", "stream": False}
    made = http.post("/api/create", json=body | {"parameters": {"kv_cache_type": "q8_0"}})
    assert made.status_code == 200
    assert generated(http, "made").json()["response"] == SCRIPT
    refused = http.post("/api/create", json=body | {"parameters": {"kv_cache_type": "q9"}})
    assert refused.status_code == 400
    assert "q8_0" in refused.json()["error"]


def test_the_environment_chooses_for_all_models(store: Path):
    with (
        serving(store, OLLAMA_KV_CACHE_TYPE="q8_0", OLLAMA_FLASH_ATTENTION="1") as server,
        httpx.Client(base_url=server.url, timeout=60) as http,
    ):
        assert generated(http, "talker").json()["response"] == SCRIPT
        refused = generated(http, "odd")
        assert refused.status_code == 500
        assert "OLLAMA_KV_CACHE_TYPE" in refused.json()["error"]
        assert generated(http, "odd", kv_cache_type="f16").status_code == 200


def test_quantised_types_and_no_flash_attention_are_refused_together(store: Path):
    with (
        serving(store, OLLAMA_FLASH_ATTENTION="0") as server,
        httpx.Client(base_url=server.url, timeout=60) as http,
    ):
        assert generated(http, "talker").json()["response"] == SCRIPT
        for refused in (generated(http, "talker", kv_cache_type="q8_0"), generated(http, "small")):
            assert refused.status_code == 400
            assert "kv_cache_type" in refused.json()["error"]
            assert "OLLAMA_FLASH_ATTENTION" in refused.json()["error"]
        assert generated(http, "talker", kv_cache_type="bf16").status_code == 200


def test_an_unknown_type_in_the_environment_is_told_and_counts_as_unset(store: Path):
    with serving(store, OLLAMA_KV_CACHE_TYPE="q7") as server:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            assert generated(http, "talker").json()["response"] == SCRIPT
        assert any("OLLAMA_KV_CACHE_TYPE" in line for line in server.log)
