"""POST /api/pull: starter models, models of a registry, and one piece of work however many ask for it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from puna.errors import NotFound, PunaError
from puna.library import Library, pull, push
from puna.library.registry import journal
from puna.server import pulls as module
from puna.server.pulls import Pulls
from puna.server.working import Abandoned
from puna.types import Progress, Report
from tests.library.registry.conftest import DIGEST, LIMITS, MODEL, SIZE, WEIGHTS, put
from tests.registries import Fault, Line, line, registry
from tests.running import Server, serving

SMALL = len(b"{{ .Prompt }}") + len(b'{"model_format":"gguf"}\n')
"""Bytes of the model's other blobs: its template and its config."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry that has `library/x:latest`."""
    folder = tmp_path_factory.mktemp("registry")
    with registry(folder) as host:
        library = Library(folder / "source")
        put(library, f"{host}/{MODEL}")
        push(library, f"{host}/{MODEL}", lambda step: None, insecure=True, key=folder / "key", limits=LIMITS)
        yield host


@pytest.fixture
def way(hub: str) -> Iterator[Line]:
    """The line to it."""
    with line(hub) as found:
        yield found


@contextmanager
def pulling(server: Server, host: str) -> Iterator[Iterator[dict[str, Any]]]:
    """The steps of pulling the model, as they come."""
    body = {"model": f"{host}/{MODEL}", "insecure": True}
    with httpx.stream("POST", f"{server.url}/api/pull", json=body, timeout=60) as answer:
        yield (json.loads(text) for text in answer.iter_lines())


def last(server: Server, host: str) -> dict[str, Any]:
    body = {"model": f"{host}/{MODEL}", "insecure": True, "stream": False}
    return httpx.post(f"{server.url}/api/pull", json=body, timeout=60).json()


def until(steps: Iterator[dict[str, Any]], completed: int) -> None:
    """Read until so many bytes of the weights are there."""
    next(step for step in steps if step.get("digest") == DIGEST and step.get("completed", 0) >= completed)


def positions(server: Server) -> int:
    return journal.completed(Library(server.models).blobs.partial(DIGEST, ".journal"))


def test_a_model_that_is_there_is_pulled_at_once(starter_server: Server):
    answer = httpx.post(f"{starter_server.url}/api/pull", json={"model": "smollm2:135m"}, timeout=60)
    assert answer.headers["content-type"] == "application/x-ndjson"
    statuses = [json.loads(line)["status"] for line in answer.text.splitlines()]
    assert (statuses[0], statuses[-1]) == ("pulling manifest", "success")


def test_without_a_stream_the_end_is_the_answer(starter_server: Server):
    body = {"name": "smollm2:135m", "stream": False}
    assert httpx.post(f"{starter_server.url}/api/pull", json=body, timeout=60).json() == {"status": "success"}


def test_a_model_comes_from_its_registry(server: Server, way: Line):
    with pulling(server, way.host) as steps:
        told = list(steps)
    assert [told[0], told[-1]] == [{"status": "pulling manifest"}, {"status": "success"}]
    assert {"status": f"pulling {DIGEST[7:19]}", "digest": DIGEST, "total": SIZE, "completed": SIZE} in told
    names = [model["name"] for model in httpx.get(f"{server.url}/api/tags").json()["models"]]
    assert names == [f"{way.host}/{MODEL}"]


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_is_not_there_is_said(server: Server, hub: str, stream: bool):
    body = {"model": f"{hub}/library/nobody", "insecure": True, "stream": stream}
    answer = httpx.post(f"{server.url}/api/pull", json=body, timeout=60)
    error = {"error": "pull model manifest: file does not exist"}
    if stream:
        assert [json.loads(line) for line in answer.text.splitlines()] == [
            {"status": "pulling manifest"},
            error,
        ]
    else:
        assert (answer.status_code, answer.json()) == (404, error)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "model is required"),
        ({"model": "a b"}, "invalid model name"),
        ({"model": "http://127.0.0.1:9/library/x"}, "insecure protocol http"),
    ],
)
def test_a_request_that_names_nothing_to_pull_is_refused(http: httpx.Client, body: dict, message: str):
    answer = http.post("/api/pull", json=body)
    assert (answer.status_code, answer.json()) == (400, {"error": message})


def test_a_pull_goes_on_after_the_server_was_killed(store: Path, way: Line):
    way.fault = lambda asked: Fault("stall", after=700_000) if asked.blob else None
    with serving(store) as server, pulling(server, way.host) as steps:
        until(steps, 700_000)
        server.process.kill()
        server.process.wait()
    kept = positions(server)
    assert kept >= 700_000
    way.fault = lambda asked: None
    way.asked.clear()
    with serving(store) as server:
        assert last(server, way.host) == {"status": "success"}
    # Not a byte that was on disk came again.
    assert way.sent() == SIZE - kept + SMALL
    assert Library(store).blobs.path(DIGEST).read_bytes() == WEIGHTS


def test_a_client_that_leaves_leaves_the_pull_to_those_who_stay(server: Server, way: Line):
    proceed = threading.Event()
    way.fault = lambda asked: Fault("stall", after=100_000) if asked.blob and not proceed.is_set() else None
    with pulling(server, way.host) as first:
        until(first, 1)
        second = pulling(server, way.host)
        steps = second.__enter__()
        until(steps, 1)
    try:
        proceed.set()
        way.release()
        assert list(steps)[-1] == {"status": "success"}
    finally:
        second.__exit__(None, None, None)
    assert way.sent() == SIZE + SMALL


def test_when_the_last_client_leaves_the_pull_ends_and_is_taken_up_later(server: Server, way: Line):
    way.fault = lambda asked: Fault("stall", after=400_000) if asked.blob else None
    with pulling(server, way.host) as steps:
        until(steps, 400_000)
    library = Library(server.models)
    path = library.blobs.partial(DIGEST, ".journal")
    file = None
    while file is None:  # until the pull has let go of it
        file = journal.claim(path)
    file.close()
    kept = positions(server)
    way.fault = lambda asked: None
    way.asked.clear()
    assert last(server, way.host) == {"status": "success"}
    assert way.sent() == SIZE - kept + SMALL


def test_a_server_and_a_program_share_one_download(server: Server, way: Line, tmp_path: Path):
    way.fault = lambda asked: Fault("stall", after=200_000) if asked.blob else None
    seen: list[int] = []

    def report(step: Progress) -> None:
        if step.digest == DIGEST:
            seen.append(step.completed)
            way.fault = lambda asked: None
            way.release()

    with pulling(server, way.host) as steps:
        until(steps, 200_000)
        pull(
            Library(server.models),
            f"{way.host}/{MODEL}",
            report,
            insecure=True,
            key=tmp_path / "key",
            limits=LIMITS,
        )
        assert list(steps)[-1] == {"status": "success"}
    assert seen[0] >= 200_000
    assert sum(asked.sent for asked in way.blobs() if DIGEST in asked.path) == SIZE


@pytest.fixture
def transferring(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Stands in for the download, which is the library's to test."""

    def replace(work: Callable[[Report], None]) -> None:
        def transfer(library: Library, name: str, report: Report, **given: object) -> None:
            work(report)

        monkeypatch.setattr(module, "pull", transfer)

    return replace


async def followed(pulls: Pulls, name: str, joined: asyncio.Event | None = None) -> list[str]:
    statuses = []
    async for progress in pulls.follow(name):
        statuses.append(progress.status)
        if joined:
            joined.set()
    return statuses


async def test_those_who_ask_for_one_name_share_one_pull(store: Path, transferring: Callable[..., None]):
    proceed, times = Event(), []

    def work(report: Report) -> None:
        times.append(1)
        report(Progress(status="first"))
        proceed.wait(timeout=30)
        report(Progress(status="second"))

    transferring(work)
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


async def test_what_ends_a_pull_reaches_all_who_follow_it(store: Path, transferring: Callable[..., None]):
    def work(report: Report) -> None:
        report(Progress(status="first"))
        raise PunaError("no space left")

    transferring(work)
    pulls = Pulls(Library(store))
    results = await asyncio.gather(followed(pulls, "m"), followed(pulls, "m"), return_exceptions=True)
    assert [str(result) for result in results] == ["no space left"] * 2


async def test_steps_of_a_bar_do_not_pile_up(store: Path, transferring: Callable[..., None]):
    finished = Event()

    def work(report: Report) -> None:
        for done in range(1, 1001):
            report(Progress(status="bar", completed=done, total=1000))
        report(Progress(status="end"))
        finished.set()

    transferring(work)
    steps = Pulls(Library(store)).follow("m")
    told = [await anext(steps)]
    await asyncio.to_thread(finished.wait, 30)
    told += [step async for step in steps]
    assert told[-2:] == [Progress(status="bar", completed=1000, total=1000), Progress(status="end")]
    assert len(told) < 900


async def test_a_pull_nobody_follows_ends_and_the_next_one_is_new(
    store: Path, transferring: Callable[..., None]
):
    proceed, ended = Event(), Event()
    raised: list[BaseException] = []

    def work(report: Report) -> None:
        try:
            report(Progress(status="first"))
            proceed.wait(timeout=30)
            report(Progress(status="second"))
        except Abandoned as error:
            raised.append(error)
            raise
        finally:
            ended.set()

    transferring(work)
    pulls = Pulls(Library(store))
    progress = pulls.follow("m")
    await anext(progress)
    await progress.aclose()
    proceed.set()
    assert await asyncio.to_thread(ended.wait, 30)
    assert len(raised) == 1
    assert await followed(pulls, "m") == ["first", "second"]


async def test_a_stopping_server_sends_the_followers_away(store: Path, transferring: Callable[..., None]):
    proceed = Event()

    def work(report: Report) -> None:
        report(Progress(status="first"))
        proceed.wait(timeout=30)

    transferring(work)
    pulls = Pulls(Library(store))
    progress = pulls.follow("m")
    await anext(progress)
    pulls.close()
    with pytest.raises(PunaError, match="shutting down"):
        await anext(progress)
    proceed.set()


async def test_a_push_is_followed_like_a_pull(store: Path):
    steps = Pulls(Library(store)).push("m")
    assert (await anext(steps)).status == "retrieving manifest"
    with pytest.raises(NotFound, match="model 'm:latest' not found"):
        await anext(steps)


def test_a_registry_that_is_not_listed_is_refused(tmp_path: Path):
    with serving(tmp_path / "models", PUNA_REGISTRIES="registry.example.com, hf.co") as server:
        for path in ("/api/pull", "/api/push"):
            body = {"model": "127.0.0.1:1/a/b", "insecure": True, "stream": False}
            answer = httpx.post(f"{server.url}{path}", json=body, timeout=60)
            assert answer.status_code == 403
            assert "PUNA_REGISTRIES" in answer.json()["error"]
