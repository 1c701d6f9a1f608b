"""The store goes, the disk fills, quantising is killed, clients vanish or are slow: others never notice."""

from __future__ import annotations

import hashlib
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.faults.conftest import ANSWER
from tests.faults.dialects import DIALECTS
from tests.faults.injecting import SHORTAGES, Asked, engines, loaded, measure, processes, shortage, until
from tests.models import install, scripted_model, shape_model
from tests.running import Server, serving


@pytest.fixture(scope="module")
def unspoilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with `talker`, `endless` and `whole`, which can be quantised."""
    folder = tmp_path_factory.mktemp("surroundings")
    gguf, store = folder / "model.gguf", folder / "models"
    scripted_model(gguf, ANSWER)
    install(store, "talker", gguf)
    scripted_model(gguf, "on and ", endless=True, context_length=8192)
    install(store, "endless", gguf)
    shape_model(gguf, layers=8, width=512, heads=8, kv_heads=8, ffn=2048, vocab=1024)
    install(store, "whole", gguf)
    return store


@pytest.fixture
def store(unspoilt: Path, tmp_path: Path) -> Path:
    """One that a test may spoil."""
    return Path(shutil.copytree(unspoilt, tmp_path / "models"))


@pytest.fixture
def server(store: Path) -> Iterator[Server]:
    with serving(store, OLLAMA_NUM_PARALLEL="2") as running:
        yield running


def files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file()}


def said(server: Server) -> str:
    body = DIALECTS["chat"].asked("talker", 20, stream=False)
    answer = httpx.post(f"{server.url}/api/chat", json=body, timeout=120)
    return answer.json()["message"]["content"]


@pytest.mark.parametrize("kind", ["SIGKILL", *SHORTAGES])
def test_a_quantiser_that_ends_early_leaves_nothing(server: Server, store: Path, kind: str):
    before = files(store)
    body = {"model": "small", "from": "whole", "quantize": "q4_K_M", "stream": False}
    with shortage(kind) as inject:
        asked = Asked(server, "/api/create", body)
        process = until(lambda: processes(server, "puna.engine.quantizer"))[0]
        process.kill() if kind == "SIGKILL" else inject(process)
        assert asked.answer.status_code == 500
    said = asked.answer.json()["error"]
    assert "unable to quantize" in said
    assert ("SIGKILL" in said) == (kind != "RLIMIT_AS")
    assert files(store) == before
    assert httpx.post(f"{server.url}/api/create", json=body, timeout=120).status_code == 200


def test_a_full_disk_is_told_and_leaves_nothing(server: Server, store: Path):
    before = files(store)
    psutil.Process(server.process.pid).rlimit(psutil.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    blob = bytes(4 << 20)
    digest = f"sha256:{hashlib.sha256(blob).hexdigest()}"
    refused = httpx.post(f"{server.url}/api/blobs/{digest}", content=blob, timeout=60)
    assert refused.status_code == 500
    assert "error" in refused.json()
    assert files(store) == before
    assert said(server) == ANSWER


def test_a_store_that_is_removed_ends_no_answer(server: Server, store: Path, tmp_path: Path):
    body = DIALECTS["generate"].asked("endless", 1500, stream=True)
    with httpx.stream("POST", f"{server.url}/api/generate", json=body, timeout=120) as answer:
        lines = answer.iter_lines()
        next(lines)
        shutil.rmtree(store)
        assert '"done":true' in list(lines)[-1]
    missing = httpx.post(
        f"{server.url}/api/generate", json=DIALECTS["generate"].asked("talker", 5, stream=False)
    )
    assert missing.status_code == 404
    assert httpx.get(f"{server.url}/api/tags").json() == {"models": []}
    gguf = tmp_path / "again.gguf"
    scripted_model(gguf, ANSWER)
    install(store, "talker", gguf)
    assert said(server) == ANSWER


def test_clients_that_vanish_leave_nothing(server: Server):
    engine, process = loaded(server, "endless"), psutil.Process(server.process.pid)
    body = DIALECTS["generate"].asked("endless", 1 << 30, stream=True)

    def vanish() -> None:
        with httpx.stream("POST", f"{server.url}/api/generate", json=body, timeout=60) as answer:
            next(answer.iter_text())

    vanish()
    until(lambda: measure(server, "puna_http_requests_running") == 0)
    before = process.num_fds(), process.num_threads()
    for _ in range(20):
        vanish()
    until(lambda: measure(server, "puna_http_requests_running") == 0)
    # Both places are free again: the answers of two that stay come to their end.
    two = [
        Asked(server, "/api/generate", DIALECTS["generate"].asked("endless", 50, stream=False))
        for _ in range(2)
    ]
    assert [one.answer.json()["eval_count"] for one in two] == [50, 50]
    until(lambda: process.num_fds() <= before[0] + 1)
    assert process.num_threads() <= before[1] + 4
    assert engines(server) == [engine]


def test_a_client_that_does_not_read_costs_little(server: Server):
    loaded(server, "endless")
    process = psutil.Process(server.process.pid)
    before = process.memory_info().rss
    body = b'{"model": "endless", "prompt": "go", "options": {"num_predict": 100000000}}'
    head = b"POST /api/generate HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.sendall(head + body)
        assert [said(server) for _ in range(10)] == [ANSWER] * 10
        assert process.memory_info().rss < before + (64 << 20)
    until(lambda: measure(server, "puna_http_requests_running") == 0)


def test_clients_that_send_slowly_hold_nobody_up(server: Server):
    lines = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    try:
        for line in lines:
            line.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n{")
        assert said(server) == ANSWER
    finally:
        for line in lines:
            line.close()
    until(lambda: measure(server, "puna_http_requests_running") == 0)


def test_a_server_that_is_killed_leaves_no_engine(store: Path):
    with serving(store) as server:
        engine = loaded(server, "endless")
        server.process.send_signal(signal.SIGKILL)
        server.process.wait(timeout=30)
        _, alive = psutil.wait_procs([engine], timeout=60)
        assert not alive
