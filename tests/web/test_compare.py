"""Models side by side, on the page."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect


@pytest.fixture
def models(add_scripted: Callable[..., list[bytes]]) -> None:
    for name in ("one", "two", "three", "four"):
        add_scripted(name, f"I am {name}.")


@pytest.fixture
def comparing(models: None, page: Page) -> Page:
    page.get_by_role("button", name="Compare", exact=True).click()
    return page


def compare(page: Page) -> None:
    page.locator(".compare").get_by_role("button", name="Compare", exact=True).click()


def test_two_models_answer_side_by_side(comparing: Page):
    button = comparing.locator(".compare").get_by_role("button", name="Compare", exact=True)
    comparing.get_by_label("Message").fill("Who are you?")
    comparing.get_by_label("one:latest").check()
    expect(button).to_be_disabled()
    comparing.get_by_label("two:latest").check()
    compare(comparing)
    for name in ("one", "two"):
        expect(comparing.get_by_role("region", name=f"{name}:latest")).to_contain_text(f"I am {name}.")
    plot = comparing.locator("svg.speeds")
    expect(plot).to_have_attribute("aria-label", re.compile(r"one:latest: .* two:latest: "))
    expect(plot.locator("rect")).to_have_count(2)


def test_no_more_than_three(comparing: Page):
    for name in ("one", "two", "three"):
        comparing.get_by_label(f"{name}:latest").check()
    expect(comparing.get_by_label("four:latest")).to_be_disabled()
    comparing.get_by_label("one:latest").uncheck()
    expect(comparing.get_by_label("four:latest")).to_be_enabled()


def test_a_model_that_fails_stands_beside_one_that_answers(comparing: Page):
    comparing.route(
        "**/api/chat",
        lambda route: (
            route.fulfill(status=500, body='{"error": "it broke"}')
            if '"one:latest"' in (route.request.post_data or "")
            else route.continue_()
        ),
    )
    for name in ("one", "two"):
        comparing.get_by_label(f"{name}:latest").check()
    comparing.get_by_label("Message").fill("Who are you?")
    compare(comparing)
    expect(comparing.get_by_role("region", name="one:latest")).to_contain_text("it broke")
    expect(comparing.get_by_role("region", name="two:latest")).to_contain_text("I am two.")
