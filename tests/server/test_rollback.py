"""Served hybrid models: what drafts for them changes nothing but the speed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.hybrid_models import delta_model
from tests.models import hybrid_model, install, scripted_model
from tests.mtp_models import scripted_mtp_model
from tests.running import Server, serving

WORDS = [f"word{number}, " for number in range(80)]
SCRIPT = "".join(WORDS)
WIDE: dict[str, Any] = {"width": 384, "heads": 6}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("rollback")
    made = {
        "convolves": lambda path: hybrid_model(path, script=WORDS, kv_heads=2, **WIDE),
        "delta": lambda path: delta_model(path, script=WORDS, kv_heads=2, **WIDE),
        "small": lambda path: scripted_model(path, WORDS),
        "wrong": lambda path: scripted_model(path, WORDS, astray=3),
        "headed": lambda path: scripted_mtp_model(path, WORDS, family="qwen35"),
    }
    for name, make in made.items():
        make(folder / name)
        install(folder / "models", name, folder / name, template="{{ .Prompt }}")
    with serving(folder / "models") as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=60) as opened:
        yield opened


def answered(client: httpx.Client, model: str, prompt: str, **options: Any) -> dict[str, Any]:
    body = {"model": model, "prompt": prompt, "stream": False, "options": {"num_ctx": 1024} | options}
    answer = client.post("/api/generate", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["response"] == SCRIPT
    return answer.json()


def drafted(client: httpx.Client, model: str, prompt: str) -> None:
    """Ask until something is drafted: what pays is measured, and this machine may be busy."""
    assert "draft_n" not in answered(client, model, prompt, temperature=0, draft_num_predict=0)
    for number in range(20):
        if answered(client, model, f"{number} {prompt}", temperature=0).get("draft_n_accepted"):
            return
    raise AssertionError("nothing was ever drafted")


@pytest.mark.parametrize("model", ["convolves", "delta"])
def test_an_answer_that_repeats_its_prompt_is_drafted(client: httpx.Client, model: str) -> None:
    drafted(client, model, f"Say: {SCRIPT}Now!")


def test_its_mtp_layer_drafts(client: httpx.Client) -> None:
    drafted(client, "headed", "Go!")


@pytest.mark.parametrize("draft", ["small", "wrong"])
def test_a_draft_model_guesses_what_a_hybrid_says(client: httpx.Client, draft: str) -> None:
    body = {"model": f"with-{draft}", "from": "delta", "draft": draft, "stream": False}
    created = client.post("/api/create", json=body)
    assert created.status_code == 200, created.text
    drafted(client, f"with-{draft}", "Go!")


def test_recurrent_models_draft_for_nobody(client: httpx.Client) -> None:
    body = {"model": "x", "from": "small", "draft": "convolves", "stream": False}
    answer = client.post("/api/create", json=body)
    assert answer.status_code == 400
    assert "lfm2, is recurrent" in answer.json()["error"]
