"""GET /metrics, read with the parser of Prometheus' own client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.models import embedding_model, install, scripted_model
from tests.running import serving

REPOSITORY = Path(__file__).resolve().parent.parent.parent
SCRIPT = "The sky is blue."


@pytest.fixture
def http(store: Path, tmp_path: Path) -> Iterator[httpx.Client]:
    """A fresh server: the counters begin at nothing."""
    gguf = tmp_path / "model.gguf"
    scripted_model(gguf, SCRIPT)
    install(store, "talker", gguf)
    scripted_model(gguf, "on and ", endless=True)
    install(store, "endless", gguf)
    embedding_model(gguf)
    install(store, "vectors", gguf)
    with (
        serving(store, OLLAMA_NUM_PARALLEL="1") as server,
        httpx.Client(base_url=server.url, timeout=60) as client,
    ):
        yield client


def samples(http: httpx.Client) -> dict[str, float]:
    """Every sample by its name and labels, as it is written in a query."""
    answer = http.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return {
        f"{one.name}{{{','.join(f'{k}={v}' for k, v in sorted(one.labels.items()))}}}": one.value
        for family in text_string_to_metric_families(answer.text)
        for one in family.samples
    }


def answered(http: httpx.Client, model: str = "talker") -> dict[str, Any]:
    body = http.post("/api/generate", json={"model": model, "prompt": "Why?", "stream": False})
    assert body.status_code == 200
    return body.json()


def test_answers_and_their_tokens_are_counted_by_model(http: httpx.Client):
    bodies = [answered(http) for _ in range(3)]
    found = samples(http)
    talker = "{model=talker:latest}"
    prompt = sum(body["prompt_eval_count"] for body in bodies)
    tokens = sum(body["eval_count"] for body in bodies)
    assert found["puna_answers_total{model=talker:latest,reason=stop}"] == 3
    assert found[f"puna_prompt_tokens_total{talker}"] == prompt
    assert 0 < found[f"puna_cached_prompt_tokens_total{talker}"] < prompt
    assert found[f"puna_answer_tokens_total{talker}"] == tokens
    assert found[f"puna_time_to_first_token_seconds_count{talker}"] == 3
    assert found[f"puna_answer_tokens_per_second_count{talker}"] == 3
    seconds = sum(body["total_duration"] for body in bodies) / 1e9
    assert 0 < found[f"puna_time_to_first_token_seconds_sum{talker}"] < seconds
    http.post("/api/embed", json={"model": "vectors", "input": "abc"})
    assert samples(http)["puna_embedded_tokens_total{model=vectors:latest}"] == 5


def test_requests_are_counted_by_path_and_status(http: httpx.Client):
    http.get("/api/version")
    http.get("/api/version")
    http.head("/api/blobs/sha256:" + "0" * 64)
    http.post("/api/show", json={"model": "none"})
    for path in ("/nowhere", "/nowhere/else"):
        http.get(path)
    http.patch("/api/tags")
    found = samples(http)
    counted = {name: value for name, value in found.items() if name.startswith("puna_http_requests_total")}
    assert counted == {
        "puna_http_requests_total{method=GET,path=/api/version,status=200}": 2,
        "puna_http_requests_total{method=HEAD,path=/api/blobs/{digest},status=404}": 1,
        "puna_http_requests_total{method=POST,path=/api/show,status=404}": 1,
        "puna_http_requests_total{method=GET,path=other,status=404}": 2,
        "puna_http_requests_total{method=other,path=/api/tags,status=405}": 1,
    }
    assert found["puna_http_requests_running{}"] == 0


def test_what_runs_and_what_waits_is_told(http: httpx.Client):
    asked = {"model": "endless", "prompt": "Go"}
    with ThreadPoolExecutor() as pool, http.stream("POST", "/api/generate", json=asked) as first:
        lines = first.iter_lines()  # Kept, for the stream is closed with it.
        next(lines)
        assert samples(http)["puna_http_requests_running{}"] == 1
        assert samples(http)["puna_requests_waiting{}"] == 0
        # The server answers one at a time, and the first has no end.
        short = {**asked, "stream": False, "options": {"num_predict": 2}}
        second = pool.submit(http.post, "/api/generate", json=short)
        while not (found := samples(http))["puna_requests_waiting{}"]:
            assert not second.done()
        assert found["puna_requests_waiting{}"] == 1
        assert found["puna_http_requests_running{}"] == 2
        first.close()
        assert second.result().json()["eval_count"] == 2
    found = samples(http)
    assert found["puna_requests_waiting{}"] == 0
    assert found["puna_answers_total{model=endless:latest,reason=length}"] == 1


def test_models_in_memory_are_told_as_they_are(http: httpx.Client):
    assert samples(http)["puna_models_loaded{}"] == 0
    answered(http)
    found = samples(http)
    assert found["puna_models_loaded{}"] == 1
    (loaded,) = http.get("/api/ps").json()["models"]
    assert found["puna_model_memory_bytes{model=talker:latest}"] == loaded["size"]
    assert found["puna_model_vram_bytes{model=talker:latest}"] == loaded["size_vram"]
    assert found["puna_model_load_seconds_count{}"] == 1
    assert 0 < found["puna_model_load_seconds_sum{}"] < 60
    http.post("/api/generate", json={"model": "talker", "keep_alive": 0})
    found = samples(http)
    assert found["puna_models_loaded{}"] == 0
    assert "puna_model_memory_bytes{model=talker:latest}" not in found
    assert found["puna_answer_tokens_total{model=talker:latest}"] > 0


def test_the_page_of_the_manual_has_every_measure(http: httpx.Client):
    answered(http)
    http.post("/api/embed", json={"model": "vectors", "input": "abc"})
    families = text_string_to_metric_families(http.get("/metrics").text)
    measured = {
        family.name + "_total" * (family.type == "counter")
        for family in families
        if family.name.startswith("puna_")
    }
    manual = (REPOSITORY / "docs" / "metrics.md").read_text(encoding="utf-8")
    assert measured == set(re.findall(r"^\| `(puna_\w+)`", manual, re.MULTILINE))
