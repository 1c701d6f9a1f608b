"""POST /api/pull: the starter models, and one piece of work however many ask for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from threading import Event

import httpx
import pytest

from puna.library import Library, Name
from puna.server import pulls as module
from puna.server.pulls import Pulls
from puna.types import Progress, PunaError, Report
from tests.running import Server


def test_a_model_that_is_there_is_pulled_at_once(starter_server: Server):
    answer = httpx.post(f"{starter_server.url}/api/pull", json={"model": "smollm2:135m"}, timeout=60)
    assert answer.headers["content-type"] == "application/x-ndjson"
    statuses = [json.loads(line)["status"] for line in answer.text.splitlines()]
    assert (statuses[0], statuses[-1]) == ("pulling manifest", "success")


def test_without_a_stream_the_end_is_the_answer(starter_server: Server):
    body = {"name": "smollm2:135m", "stream": False}
    assert httpx.post(f"{starter_server.url}/api/pull", json=body, timeout=60).json() == {"status": "success"}


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_is_no_starter_is_refused(http: httpx.Client, stream: bool):
    answer = http.post("/api/pull", json={"model": "llama3.2", "stream": stream})
    assert answer.status_code == 404
    assert "llama3.2:latest is not a starter model" in answer.json()["error"]


@pytest.fixture
def installing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stands in for the download, which is the library's to test."""

    def replace(work: Callable[[Library, Name, Report], None]) -> None:
        monkeypatch.setattr(module, "install", work)

    return replace


async def followed(pulls: Pulls, name: str, joined: asyncio.Event | None = None) -> list[str]:
    statuses = []
    async for progress in pulls.follow(name):
        statuses.append(progress.status)
        if joined:
            joined.set()
    return statuses


async def test_those_who_ask_for_one_name_share_one_pull(store: Path, installing: Callable[..., None]):
    proceed, times = Event(), []

    def work(library: Library, name: Name, report: Report) -> None:
        times.append(name)
        report(Progress(status="first"))
        proceed.wait(timeout=30)
        report(Progress(status="second"))

    installing(work)
    pulls, joined = Pulls(Library(store)), asyncio.Event()
    early = asyncio.create_task(followed(pulls, "m", joined))
    await joined.wait()
    joined.clear()
    late = asyncio.create_task(followed(pulls, "library/m:latest", joined))
    await joined.wait()
    proceed.set()
    assert await early == await late == ["first", "second"]
    assert len(times) == 1
    assert await followed(pulls, "m") == ["first", "second"]
    assert len(times) == 2


async def test_what_ends_a_pull_reaches_all_who_follow_it(store: Path, installing: Callable[..., None]):
    def work(library: Library, name: Name, report: Report) -> None:
        report(Progress(status="first"))
        raise PunaError("no space left")

    installing(work)
    pulls = Pulls(Library(store))
    results = await asyncio.gather(followed(pulls, "m"), followed(pulls, "m"), return_exceptions=True)
    assert [str(result) for result in results] == ["no space left"] * 2


async def test_a_pull_goes_on_when_its_follower_leaves(store: Path, installing: Callable[..., None]):
    proceed, ended = Event(), Event()

    def work(library: Library, name: Name, report: Report) -> None:
        report(Progress(status="first"))
        proceed.wait(timeout=30)
        ended.set()

    installing(work)
    progress = Pulls(Library(store)).follow("m")
    await anext(progress)
    await progress.aclose()
    proceed.set()
    assert await asyncio.to_thread(ended.wait, 30)


async def test_a_stopping_server_sends_the_followers_away(store: Path, installing: Callable[..., None]):
    proceed = Event()

    def work(library: Library, name: Name, report: Report) -> None:
        report(Progress(status="first"))
        proceed.wait(timeout=30)

    installing(work)
    pulls = Pulls(Library(store))
    progress = pulls.follow("m")
    await anext(progress)
    pulls.close()
    with pytest.raises(PunaError, match="shutting down"):
        await anext(progress)
    proceed.set()
