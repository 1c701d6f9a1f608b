"""What watching over a server costs, and how soon it answers after an engine was killed."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx

from benchmarks.table import Row, median
from tests.faults.injecting import engines, until
from tests.models import install, scripted_model, shape_model
from tests.running import Server, serving

STREAMS = 16
LOOKS = 200


def rows() -> Iterator[Row]:
    """A model of 200 MB for the crash, one that talks without end for the load."""
    with tempfile.TemporaryDirectory() as folder:
        gguf, store = Path(folder) / "model.gguf", Path(folder) / "models"
        shape_model(gguf, layers=8, width=1024, heads=16, kv_heads=8, ffn=4096)
        install(store, "large", gguf)
        scripted_model(gguf, "on and ", endless=True)
        install(store, "endless", gguf)
        with serving(store) as server:
            above = median(lambda: _after_a_crash(server) - _cold(server))
            yield Row("answer after a crash, above a cold load's", above, 1, "s", more_is_better=False)
            yield Row(f"/readyz beside {STREAMS} streams", _ready(server), 1, "ms", more_is_better=False)


def _ask(server: Server) -> float:
    """Seconds until a token of `large`."""
    body = {"model": "large", "prompt": "Go", "stream": False, "options": {"num_predict": 1}}
    began = time.perf_counter()
    assert httpx.post(f"{server.url}/api/generate", json=body, timeout=120).status_code == 200
    return time.perf_counter() - began


def _cold(server: Server) -> float:
    httpx.post(f"{server.url}/api/generate", json={"model": "large", "keep_alive": 0}, timeout=120)
    until(lambda: not engines(server))
    return _ask(server)


def _after_a_crash(server: Server) -> float:
    _ask(server)
    engines(server)[0].kill()
    return _ask(server)


def _ready(server: Server) -> float:
    """Milliseconds, the median."""
    body = {"model": "endless", "prompt": "Go", "options": {"num_predict": 1 << 30}}
    with ExitStack() as open_ones, httpx.Client(base_url=server.url, timeout=120) as http:
        for _ in range(STREAMS):
            answer = open_ones.enter_context(http.stream("POST", "/api/generate", json=body))
            next(answer.iter_raw())
        took = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            assert http.get("/readyz").status_code == 200
            took.append(time.perf_counter() - began)
        return statistics.median(took) * 1e3
