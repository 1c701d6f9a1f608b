"""The page in the system's Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

from tests.running import Server, serving

_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)

# A model is loaded for nearly every test, beside whatever else the machine does.
expect.set_options(timeout=30_000)


def launched(playwright: Playwright) -> Browser:
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    return playwright.chromium.launch(executable_path=next(found), args=_FLAGS.split())


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = launched(playwright)
        yield opened
        opened.close()


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of all tests, with room for an answer that outlasts one."""
    with serving(tmp_path_factory.mktemp("web") / "my models", OLLAMA_CONTEXT_LENGTH="65536") as started:
        yield started


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """An empty folder for models: that of `server` where a test has it."""
    shared = "server" in request.fixturenames
    return request.getfixturevalue("running").models if shared else tmp_path / "my models"


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    """A running server over `store`, which has no models again at the end."""
    yield running
    for model in httpx.get(f"{running.url}/api/tags").json()["models"]:
        name = {"model": model["name"]}
        httpx.post(f"{running.url}/api/generate", json={**name, "keep_alive": 0, "stream": False})
        httpx.request("DELETE", f"{running.url}/api/delete", json=name).raise_for_status()


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    """The page of `server`, open, in English. By its end it asked nobody else and failed nowhere."""
    context = browser.new_context(locale="en-GB")
    opened = context.new_page()
    asked: list[str] = []
    failed: list[str] = []
    opened.on("request", lambda request: asked.append(request.url))
    opened.on("pageerror", lambda error: failed.append(str(error)))
    opened.goto(f"{server.url}/ui")
    yield opened
    context.close()
    assert [url for url in asked if not url.startswith((server.url, "blob:", "data:"))] == []
    assert failed == []


@pytest.fixture
def opened(add_scripted: Callable[..., list[bytes]], page: Page) -> Page:
    """The page, with the model `talker`."""
    add_scripted("talker", "An answer.")
    page.reload()
    expect(page.get_by_label("Model").first).to_have_value("talker:latest")
    return page
