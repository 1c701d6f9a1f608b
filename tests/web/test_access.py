"""axe-core finds no serious fault of accessibility in any view, light or dark, in English and in Chinese."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from puna.access import add_key, new_key
from tests.running import Server, keys_file, serving

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
ANSWER = (
    "# Title\n\nText with `code`, a [link](https://example.com).\n\n```python\nx = 1  # one\n```\n\n"
    "|a|b|\n|-|-|\n|1|2|"
)


SHOWN = list(product(["en-GB", "zh-CN"], ["light", "dark"]))


@pytest.fixture(params=SHOWN, ids=["-".join(one) for one in SHOWN])
def context(request: pytest.FixtureRequest, browser: Browser) -> Iterator[BrowserContext]:
    locale, scheme = request.param
    opened = browser.new_context(locale=locale, color_scheme=scheme)
    yield opened
    opened.close()


@pytest.fixture
def opened(add_scripted: Callable[..., list[bytes]], context: BrowserContext, server: Server) -> Page:
    add_scripted("talker", f"<think>Let me see.</think>{ANSWER}")
    add_scripted("other", ANSWER)
    page = context.new_page()
    page.goto(f"{server.url}/ui")
    return page


def said(page: Page, key: str) -> str:
    """What the page says for this, in its language."""
    return page.evaluate(
        """async (key) => {
            const base = document.querySelector("script[type=module]").src;
            return (await import(new URL("words.js", base))).say(key);
        }""",
        key,
    )


def press(page: Page, key: str) -> None:
    page.get_by_role("button", name=said(page, key), exact=True).first.click()


def unfold(page: Page, key: str) -> None:
    page.get_by_text(said(page, key), exact=True).first.click()


def send(page: Page) -> None:
    page.get_by_label(said(page, "message"), exact=True).fill("Who?")
    page.get_by_label(said(page, "message"), exact=True).press("Enter")


def faults(page: Page) -> list[Any]:
    """The serious faults of what is shown, with the elements that have them."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    return [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in serious]


def test_no_view_has_a_serious_fault(opened: Page):
    expect(opened.locator("header select").first.locator("option")).to_have_count(2)
    assert faults(opened) == []
    again = opened.get_by_role("button", name=said(opened, "again"))
    send(opened)
    expect(again).to_be_visible()
    again.click()
    expect(opened.get_by_text("2 / 2")).to_be_visible()
    expect(again).to_be_visible()
    unfold(opened, "appearance")
    unfold(opened, "settings")
    assert faults(opened) == []
    unfold(opened, "settings")
    press(opened, "edit")
    assert faults(opened) == []
    opened.keyboard.press("Control+k")
    opened.get_by_role("dialog").wait_for()
    assert faults(opened) == []
    opened.keyboard.press("Escape")
    press(opened, "models")
    unfold(opened, "create")
    unfold(opened, "details")
    expect(opened.locator(".details pre").first).to_be_visible()
    assert faults(opened) == []
    press(opened, "compare")
    for model in ("talker", "other"):
        opened.get_by_label(f"{model}:latest").check()
    opened.get_by_label(said(opened, "message"), exact=True).fill("Who?")
    opened.locator(".compare form button").click()
    expect(opened.locator(".speeds rect")).to_have_count(2)
    assert faults(opened) == []


def test_what_goes_wrong_is_said_without_a_serious_fault(opened: Page):
    opened.route("**/api/chat", lambda route: route.abort())
    send(opened)
    expect(opened.locator("article").get_by_role("alert")).to_be_visible()
    assert faults(opened) == []
    press(opened, "models")
    opened.get_by_label(said(opened, "pullName")).fill("!!")
    press(opened, "pull")
    expect(opened.get_by_role("alert")).to_be_visible()
    assert faults(opened) == []


def test_sign_in_has_no_serious_fault(context: BrowserContext, store: Path):
    key, _ = new_key("browser")
    add_key(keys_file(store), key)
    with serving(store) as server:
        page = context.new_page()
        page.goto(f"{server.url}/ui")
        page.get_by_role("dialog").wait_for()
        assert faults(page) == []
        press(page, "cancel")
        expect(page.get_by_role("alert").first).to_be_visible()
        assert faults(page) == []
