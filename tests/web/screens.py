"""`python -m tests.web.screens`: the pictures of docs/page.md, of the real page with a scripted model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.models import install, scripted_model
from tests.running import serving

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"
LARGEST = 150_000
"""Bytes of a picture."""

_WINDOW: ViewportSize = {"width": 1100, "height": 720}
_SAYINGS = {
    "en": (
        "How far does a stone fall in three seconds?",
        "It falls $s = \\frac{1}{2} g t^2$, so about **44 metres**:\n\n```python\ng, t = 9.81, 3\n"
        "print(g * t ** 2 / 2)  # 44.1\n```\n\n| seconds | metres |\n| - | - |\n"
        "| 1 | 4.9 |\n| 2 | 19.6 |\n| 3 | 44.1 |",
    ),
    "zh": (
        "石头三秒钟下落多远?",
        "下落距离为 $s = \\frac{1}{2} g t^2$,大约 **44 米**:\n\n```python\ng, t = 9.81, 3\n"
        "print(g * t ** 2 / 2)  # 44.1\n```\n\n| 秒 | 米 |\n| - | - |\n"
        "| 1 | 4.9 |\n| 2 | 19.6 |\n| 3 | 44.1 |",
    ),
}
_LOCALES = {"en": "en-GB", "zh": "zh-CN"}
_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")


def shoot(browser: Browser, work: Path, to: Path) -> None:
    """Write `page-{view}-{scheme}-{language}.png` into `to`; `work` is an empty folder for the models."""
    for language, (_, answer) in _SAYINGS.items():
        scripted_model(work / "model.gguf", [*answer])
        install(work / "models", f"physics-{language}", work / "model.gguf")
    with serving(work / "models") as server:
        for scheme in _SCHEMES:
            for language, (question, _) in _SAYINGS.items():
                context = browser.new_context(
                    locale=_LOCALES[language], color_scheme=scheme, viewport=_WINDOW
                )
                page = context.new_page()
                page.goto(f"{server.url}/ui")
                page.locator("header select").first.select_option(f"physics-{language}:latest")
                _talk(page, question)
                page.screenshot(path=to / f"page-talk-{scheme}-{language}.png")
                page.locator(".tabs button").nth(1).click()
                page.locator(".models .loaded").first.wait_for()
                page.screenshot(path=to / f"page-models-{scheme}-{language}.png")
                context.close()


def _talk(page: Page, question: str) -> None:
    page.locator(".write textarea").fill(question)
    page.locator(".write textarea").press("Enter")
    expect(page.locator("article.theirs footer")).to_be_visible(timeout=30_000)
    expect(page.locator("article.theirs math")).to_be_visible()


if __name__ == "__main__":
    from playwright.sync_api import sync_playwright

    from tests.web.conftest import launched

    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        shoot(launched(playwright), Path(folder), DOCS)
