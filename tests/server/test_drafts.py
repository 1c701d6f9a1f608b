"""What was drafted is told in every dialect that has a word for it, and in the metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import ollama
import pytest

from tests.models import install, scripted_model
from tests.running import Server, serving

WORDS = [f"word{number}, " for number in range(80)]
SCRIPT = "".join(WORDS)
PROMPT = f"Repeat this: {SCRIPT} Now!"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("drafts")
    scripted_model(folder / "m.gguf", WORDS)
    install(folder / "models", "m", folder / "m.gguf")
    install(folder / "models", "off", folder / "m.gguf", parameters={"draft_num_predict": 0})
    with serving(folder / "models") as server:
        yield server


def last(server: Server, path: str, body: dict[str, Any]) -> dict[str, Any]:
    told = httpx.post(server.url + path, json={"model": "m"} | body, timeout=60)
    assert told.status_code == 200, told.text
    return json.loads(told.text.strip().splitlines()[-1])


def asked(prompt: str) -> dict[str, dict[str, Any]]:
    """The same request in both native forms."""
    return {
        "/api/generate": {"prompt": prompt},
        "/api/chat": {"messages": [{"role": "user", "content": prompt}]},
    }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
def test_the_last_object_counts_drafts(server: Server, path: str, stream: bool) -> None:
    for number in range(20):  # what pays is measured, and this machine may be busy
        final = last(server, path, {"stream": stream} | asked(f"{number} {PROMPT}")[path])
        assert final["eval_count"] == len(WORDS) + 1
        if "draft_n" in final:
            assert 0 <= final["draft_n_accepted"] <= final["draft_n"]
            if final["draft_n_accepted"]:
                return
    raise AssertionError("nothing was ever drafted")


@pytest.mark.parametrize("path", ["/api/generate", "/api/chat"])
def test_an_answer_without_drafts_says_nothing_of_them(server: Server, path: str) -> None:
    body = {"stream": False} | asked(PROMPT)[path]
    for off in (
        {"options": {"draft_num_predict": 0}},
        {"options": {"draft_num_predict": -1}},
        {"model": "off"},
    ):
        assert not {"draft_n", "draft_n_accepted"} & last(server, path, body | off).keys()


def test_an_option_of_the_wrong_type_is_refused(server: Server) -> None:
    for wrong in ("many", True, [1]):
        body = {"model": "m", "prompt": "x", "options": {"draft_num_predict": wrong}}
        answer = httpx.post(server.url + "/api/generate", json=body)
        assert answer.status_code == 400
        assert "draft_num_predict" in answer.json()["error"]


def test_the_official_client_reads_an_answer_with_drafts(server: Server) -> None:
    for number in range(3):
        assert ollama.Client(server.url).generate("m", f"{number} {PROMPT}").response == SCRIPT


@pytest.mark.parametrize("n", [1, 3])
def test_openai_usage_counts_drafts(server: Server, n: int) -> None:
    for number in range(20):
        body = {"n": n, "messages": [{"role": "user", "content": f"{number} {PROMPT}"}]}
        usage = last(server, "/v1/chat/completions", body)["usage"]
        details = usage["completion_tokens_details"]
        assert usage["completion_tokens"] == n * (len(WORDS) + 1)
        assert details["rejected_prediction_tokens"] >= 0
        if details["accepted_prediction_tokens"]:
            return
    raise AssertionError("nothing was ever drafted")


def test_metrics_count_them(server: Server) -> None:
    def counted() -> dict[str, float]:
        lines = httpx.get(server.url + "/metrics").text.splitlines()
        pairs = (line.rsplit(" ", 1) for line in lines if 'model="m:latest"' in line)
        return {name.partition("{")[0]: float(value) for name, value in pairs}

    last(server, "/api/generate", {"stream": False, "prompt": PROMPT})
    before = counted()
    final = last(server, "/api/generate", {"stream": False, "prompt": PROMPT})
    after = counted()
    for name, field in (
        ("puna_drafted_tokens_total", "draft_n"),
        ("puna_accepted_draft_tokens_total", "draft_n_accepted"),
    ):
        assert after[name] - before[name] == final.get(field, 0)
