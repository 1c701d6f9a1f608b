"""The page in Chromium: how soon it can be used, and whether it keeps up with a fast answer.

The model is a scripted one, faster than any a person waits for: the page draws what it gets in each frame.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.table import Row
from tests.models import install, scripted_model
from tests.running import Server, serving
from tests.web.conftest import launched

ROUNDS = 9
PARAGRAPH = (
    "A paragraph with **bold** words.\n\n- one\n- two\n\n```python\nx = 1\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n"
)
LENGTH = 30
"""Paragraphs of an answer."""

_READY = """() => new Promise((resolve) => new PerformanceObserver((list) => {
    const [mark] = list.getEntriesByName("interactive");
    if (mark) resolve(mark.startTime);
}).observe({ type: "mark", buffered: true }))"""
_WATCH = """() => {
    window.seen = { shift: 0, long: 0, frames: 0, late: 0 };
    const seen = window.seen;
    const add = ({ value, hadRecentInput }) => { seen.shift += hadRecentInput ? 0 : value; };
    new PerformanceObserver((list) => list.getEntries().forEach(add))
        .observe({ type: "layout-shift" });
    new PerformanceObserver((list) => { seen.long += list.getEntries().length; })
        .observe({ type: "longtask" });
    let before = performance.now();
    requestAnimationFrame(function next(now) {
        seen.frames += 1;
        if (now - before > 2000 / 60) seen.late += 1;
        before = now;
        requestAnimationFrame(next);
    });
}"""


def rows() -> Iterator[Row]:
    """How soon it can be used; and frames, long tasks and layout shifts while an answer streams."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        models = Path(folder) / "models"
        # A character a token, so that the answer lasts.
        scripted_model(Path(folder) / "model.gguf", [*(PARAGRAPH * LENGTH)], context_length=16384)
        install(models, "talker", Path(folder) / "model.gguf")
        with serving(models, OLLAMA_CONTEXT_LENGTH="16384") as server:
            browser = launched(playwright)
            walls, works = zip(*(_interactive(browser, server) for _ in range(ROUNDS)), strict=True)
            yield Row(
                "page: asked for until it is interactive", median(walls), 300, "ms", more_is_better=False
            )
            yield Row("page: of that, work of its thread", median(works), 200, "ms", more_is_better=False)
            yield from _streaming(browser, server)


def _interactive(browser: Browser, server: Server) -> tuple[float, float]:
    """Milliseconds of the clock and of the page's thread, with nothing in the browser's cache."""
    page = _blank(browser)
    metrics = page.context.new_cdp_session(page)
    metrics.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(f"{server.url}/ui", wait_until="commit")
    took = page.evaluate(_READY)
    found = {one["name"]: one["value"] for one in metrics.send("Performance.getMetrics")["metrics"]}
    page.context.close()
    return took, 1000 * found["TaskDuration"]


def _streaming(browser: Browser, server: Server) -> Iterator[Row]:
    page = _blank(browser)
    page.goto(f"{server.url}/ui")
    for question in ("Load it.", "Again."):
        page.evaluate(_WATCH)
        page.locator(".write textarea").fill(question)
        page.locator(".write textarea").press("Enter")
        page.locator("article.theirs footer").nth(0 if question == "Load it." else 1).wait_for(
            timeout=120_000
        )
    seen = page.evaluate("window.seen")
    rate = float(page.locator("article.theirs footer small").nth(-2).inner_text().split()[0])
    page.context.close()
    yield Row("page: tokens/s of an answer that it shows", rate, 100, "tok/s")
    late = 100 * seen["late"] / seen["frames"]
    yield Row("page: frames dropped meanwhile", late, 1, "%", more_is_better=False)
    yield Row("page: tasks over 50 ms meanwhile", seen["long"], 0, "", more_is_better=False)
    yield Row("page: layout shift meanwhile", seen["shift"], 0, "", more_is_better=False)


def _blank(browser: Browser) -> Page:
    return browser.new_context(locale="en-GB", viewport={"width": 1000, "height": 700}).new_page()
