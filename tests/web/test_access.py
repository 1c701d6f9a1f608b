"""axe-core finds no serious fault of accessibility in any view, light or dark."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running import Server

AXE = Path(__file__).parent / "node_modules/axe-core/axe.min.js"
ANSWER = (
    "# Title\n\nText with `code`, a [link](https://example.com).\n\n```python\nx = 1  # one\n```\n\n"
    "|a|b|\n|-|-|\n|1|2|"
)


@pytest.fixture(params=["light", "dark"])
def opened(
    request: pytest.FixtureRequest,
    add_scripted: Callable[..., list[bytes]],
    browser: Browser,
    server: Server,
) -> Iterator[Page]:
    add_scripted("talker", f"<think>Let me see.</think>{ANSWER}")
    add_scripted("other", ANSWER)
    context = browser.new_context(locale="en-GB", color_scheme=request.param)
    page = context.new_page()
    page.goto(f"{server.url}/ui")
    yield page
    context.close()


def faults(page: Page) -> list[Any]:
    """The serious faults of what is shown, with the elements that have them."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    serious = [one for one in found["violations"] if one["impact"] in ("serious", "critical")]
    return [(one["id"], [node["html"][:160] for node in one["nodes"]]) for one in serious]


def test_no_view_has_a_serious_fault(opened: Page):
    expect(opened.get_by_label("Model").first.locator("option")).to_have_count(2)
    assert faults(opened) == []
    opened.get_by_label("Message").fill("Who?")
    opened.get_by_label("Message").press("Enter")
    expect(opened.get_by_role("button", name="Regenerate")).to_be_visible()
    opened.get_by_role("button", name="Regenerate").click()
    expect(opened.get_by_text("2 / 2")).to_be_visible()
    expect(opened.get_by_role("button", name="Regenerate")).to_be_visible()
    opened.get_by_text("Settings", exact=True).click()
    opened.get_by_text("Appearance").click()
    assert faults(opened) == []
    opened.get_by_text("Settings", exact=True).click()
    opened.get_by_role("button", name="Edit").click()
    assert faults(opened) == []
    opened.keyboard.press("Control+k")
    opened.get_by_role("dialog").wait_for()
    assert faults(opened) == []
    opened.keyboard.press("Escape")
    opened.get_by_role("button", name="Models").click()
    opened.get_by_text("Create a model").click()
    opened.get_by_text("Details").first.click()
    expect(opened.locator(".details pre").first).to_be_visible()
    assert faults(opened) == []
    opened.get_by_role("button", name="Compare", exact=True).click()
    for model in ("talker", "other"):
        opened.get_by_label(f"{model}:latest").check()
    opened.get_by_label("Message").fill("Who?")
    opened.locator(".compare form").get_by_role("button", name="Compare").click()
    expect(opened.locator(".speeds rect")).to_have_count(2)
    assert faults(opened) == []
