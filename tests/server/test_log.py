"""The log of a real server: its lines, its ids, its JSON, and what must not be in it."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path

import httpx
import pytest

from puna.access import add_key, new_key
from tests.running import Server, keys_file, serving
from tests.server.conftest import add_models

CHAT = {"model": "talker", "messages": [{"role": "user", "content": "a secret question"}], "stream": False}
PATHS = ("/api/chat", "/v1/chat/completions")


def lines(server: Server) -> list[str]:
    """The whole log of a server, which is ended for it."""
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=30)
    server.reader.join()
    return "".join(server.log).splitlines()


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    store = tmp_path / "models"
    add_models(tmp_path / "model.gguf", store)
    return store


@pytest.mark.parametrize("path", ["/api/tags", "/v1/models", "/nothing", "/api/chat", "/v1/messages", "/ui"])
def test_every_answer_has_an_id_of_its_own(native_server: Server, path: str):
    answers = [httpx.get(f"{native_server.url}{path}") for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert len(ids) == 2
    assert all(re.fullmatch(r"req_[0-9a-f]{16}", id) for id in ids)


@pytest.mark.parametrize("given", ["a", "x" * 128, "3f2a-1/b:c+d=e@f_g.h"])
def test_an_id_that_the_client_gave_is_kept(native_server: Server, given: str):
    answer = httpx.get(f"{native_server.url}/api/tags", headers={"x-request-id": given})
    assert answer.headers.get_list("x-request-id") == [given]


@pytest.mark.parametrize("given", ["x" * 129, "two words", "a\tb", 'quote"d', "{}", "é"])
def test_an_id_that_could_forge_a_line_is_replaced(native_server: Server, given: str):
    answer = httpx.get(
        f"{native_server.url}/api/tags", headers=httpx.Headers({"x-request-id": given}, encoding="utf-8")
    )
    assert answer.headers["x-request-id"].startswith("req_")


def test_a_refusal_and_a_stream_have_it_too(native_server: Server):
    with httpx.Client(base_url=native_server.url, headers={"x-request-id": "mine"}, timeout=60) as http:
        foreign = http.get("/api/tags", headers={"origin": "https://evil.example.com"})
        assert (foreign.status_code, foreign.headers["x-request-id"]) == (403, "mine")
        assert http.post("/api/chat", json=CHAT | {"stream": True}).headers["x-request-id"] == "mine"


@pytest.mark.parametrize("path", PATHS)
def test_debugging_follows_a_request_by_its_id(filled: Path, path: str):
    with serving(filled, OLLAMA_DEBUG="1") as server:
        httpx.post(f"{server.url}{path}", json=CHAT, headers={"x-request-id": "followed"}, timeout=60)
        mine = [line for line in lines(server) if line.endswith("[followed]")]
        engine = [line for line in lines(server) if " batch: " in line]
    assert any("1 answers, " in line for line in engine)
    assert any("tokens of 1 prompts" in line for line in engine)
    for told in ("is ready", "loading", " tokens, ", "cached", "first token", "ended by stop", f'"{path}"'):
        assert any(told in line for line in mine), told


def test_json_is_an_object_a_line(filled: Path):
    with serving(filled, PUNA_LOG="json", OLLAMA_HOST="0.0.0.0:0", OLLAMA_DEBUG="1") as server:
        url = f"http://127.0.0.1:{server.port}"
        httpx.post(f"{url}/api/chat", json=CHAT, headers={"x-request-id": "one"}, timeout=60)
        httpx.get(f"{url}/api/tags?token=hidden")
        told = [json.loads(line) for line in lines(server)]
    assert all({"time", "level"} <= set(line) for line in told)
    assert any("Listening" in line.get("message", "") for line in told)
    assert any(line["level"] == "warning" for line in told)
    (chat,) = [line for line in told if line.get("path") == "/api/chat"]
    assert (chat["request"], chat["status"], chat["method"]) == ("one", 200, "POST")
    assert 0 < chat["seconds"] < 60
    assert any(line.get("request") == "one" and "cached" in line.get("message", "") for line in told)


def test_nothing_secret_is_in_the_log(filled: Path):
    key, secret = new_key("ann")
    add_key(keys_file(filled), key)
    with serving(filled, OLLAMA_DEBUG="1") as server:
        with httpx.Client(base_url=server.url, timeout=60) as http:
            http.post("/api/chat", json=CHAT, headers={"authorization": f"Bearer {secret}"})
            http.post("/api/chat", json=CHAT, headers={"x-api-key": f"{secret}wrong"})
            http.get("/api/tags?api_key=in-the-query", headers={"x-api-key": secret, "cookie": "sweet"})
            page = {"url": "http://127.0.0.1:1/page?signature=signed"}
            http.post("/api/web_fetch", json=page, headers={"x-api-key": secret})
        log = "\n".join(lines(server))
    assert "key=ann" in log
    random = secret.split("_", 2)[2]
    for hidden in (random, "a secret question", "sky is blue", "in-the-query", "sweet", "signed", key.hash):
        assert hidden not in log


def test_a_path_cannot_forge_a_line(filled: Path):
    with serving(filled) as server:
        httpx.get(f"{server.url}/x%0a2026-01-01%20INFO%20forged%1b[31m")
        log = lines(server)
    assert not any(line.startswith("2026-01-01") for line in log)
    assert not any("\x1b" in line for line in log)
    assert any("forged" in line for line in log)


def test_a_server_is_healthy_and_ready(native_server: Server):
    for path in ("/healthz", "/readyz", "/health"):
        answer = httpx.get(f"{native_server.url}{path}")
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
        assert httpx.head(f"{native_server.url}{path}").status_code == 200


def test_a_server_that_stops_is_healthy_and_not_ready(filled: Path):
    with serving(filled) as server, httpx.Client(base_url=server.url, timeout=60) as http:
        body = {"model": "endless", "prompt": "go", "options": {"num_predict": 100_000_000, "num_ctx": 512}}
        with http.stream("POST", "/api/generate", json=body) as answer:
            lines = answer.iter_lines()
            next(lines)
            server.process.send_signal(signal.SIGTERM)
            deadline = time.monotonic() + 30
            while (ready := http.get("/readyz")).status_code == 200:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert (ready.status_code, ready.json()) == (503, {"status": "stopping"})
            assert http.get("/healthz").status_code == 200
