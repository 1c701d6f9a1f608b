"""A process that waits for the next load, and takes it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from puna.engine import EngineStarter
from puna.load import LoadSpec
from tests.faults.conftest import ANSWER
from tests.faults.dialects import DIALECTS
from tests.faults.injecting import engines, loaded, standby, until
from tests.models import scripted_model
from tests.running import Server, serving


@pytest.fixture
def server(models: Path) -> Iterator[Server]:
    with serving(models) as running:
        yield running


def waiting(server: Server) -> psutil.Process | None:
    """The process that stands by."""
    found = [one for one in psutil.Process(server.process.pid).children() if standby(one)]
    assert len(found) <= 1
    return found[0] if found else None


def answered(server: Server) -> None:
    body = DIALECTS["chat"].asked("talker", 20, stream=False)
    answer = httpx.post(f"{server.url}/api/chat", json=body, timeout=120)
    assert answer.json()["message"]["content"] == ANSWER


def test_it_takes_the_next_load_and_another_one_waits(server: Server):
    first = until(lambda: waiting(server))
    engine = loaded(server, "talker")
    assert engine.pid == first.pid
    answered(server)
    second = until(lambda: waiting(server))
    assert second.pid != engine.pid
    assert second.memory_full_info().uss < 60 << 20
    httpx.post(f"{server.url}/api/generate", json={"model": "talker", "keep_alive": 0}, timeout=60)
    until(lambda: not engines(server))
    assert loaded(server, "endless").pid == second.pid


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSEGV])
def test_it_succeeds_an_engine_that_crashed(server: Server, end: signal.Signals):
    engine = loaded(server, "talker")
    successor = until(lambda: waiting(server))
    engine.send_signal(end)
    answered(server)
    assert [one.pid for one in engines(server)] == [successor.pid]


def test_one_that_dies_is_not_missed(server: Server):
    until(lambda: waiting(server)).kill()
    until(lambda: waiting(server) is None)
    answered(server)
    assert until(lambda: waiting(server))


def test_one_that_dies_is_replaced_without_a_load(server: Server):
    loaded(server, "talker")
    first = until(lambda: waiting(server))
    first.kill()
    until(lambda: waiting(server) is None)
    answered(server)
    assert until(lambda: waiting(server)).pid != first.pid


async def test_one_that_dies_before_it_has_begun_the_load_is_replaced(tmp_path: Path):
    path = tmp_path / "model.gguf"
    scripted_model(path, ANSWER)
    starter = EngineStarter(patience=60, standby=True)
    await starter.prepare()
    child = until(lambda: next(filter(standby, psutil.Process().children()), None))
    child.suspend()
    load = asyncio.create_task(starter.start(LoadSpec(path=str(path), num_ctx=64, pool=64, parallel=1)))
    await asyncio.sleep(0)  # the load has been sent
    child.kill()
    engine = await load
    assert engine.pid != child.pid
    assert await engine.tokenize("a")
    await engine.close()


def test_none_is_made_while_somebody_is_served(server: Server):
    body = DIALECTS["generate"].asked("endless", 1 << 30, stream=True)
    with httpx.stream("POST", f"{server.url}/api/generate", json=body, timeout=60) as answer:
        pieces = answer.iter_text()
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            next(pieces)
        assert waiting(server) is None
    assert until(lambda: waiting(server))


def test_it_serves_nobody_and_says_nothing(server: Server):
    until(lambda: waiting(server))
    assert httpx.get(f"{server.url}/readyz").status_code == 200
    assert httpx.get(f"{server.url}/api/ps").json() == {"models": []}


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_it_ends_with_the_server(server: Server, end: signal.Signals):
    process = until(lambda: waiting(server))
    server.process.send_signal(end)
    server.process.wait(timeout=30)
    _, alive = psutil.wait_procs([process], timeout=60)
    assert not alive
    assert not any("Traceback" in line for line in server.log)


def test_none_waits_where_none_is_wanted(models: Path):
    with serving(models, PUNA_STANDBY="0") as server:
        answered(server)
        time.sleep(4)
        assert len(psutil.Process(server.process.pid).children()) == 1
