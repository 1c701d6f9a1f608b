"""The page in the system's Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.running import Server

_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


def launched(playwright: Playwright) -> Browser:
    found = filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    return playwright.chromium.launch(executable_path=next(found), args=_FLAGS.split())


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = launched(playwright)
        yield opened
        opened.close()


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
