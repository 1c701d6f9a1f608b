"""The page of a server that asks for keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from puna.access import add_key, new_key
from tests.running import keys_file, serving


@pytest.fixture
def secret(store: Path, add_scripted: Callable[..., list[bytes]]) -> str:
    add_scripted("talker", "You are in.")
    key, secret = new_key("browser")
    add_key(keys_file(store), key)
    return secret


@pytest.fixture
def locked(browser: Browser, store: Path, secret: str) -> Iterator[Page]:
    """The page of a server that asks for keys, opened without one."""
    with serving(store) as server:
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        page.goto(f"{server.url}/ui")
        yield page
        context.close()


def test_a_person_signs_in_with_a_key_and_out_again(locked: Page, secret: str):
    asked = locked.get_by_role("dialog")
    asked.get_by_label("This server asks for a key").fill("wrong")
    asked.get_by_role("button", name="Sign in").click()
    # A wrong key is asked for again.
    expect(asked.get_by_label("This server asks for a key")).to_have_value("")
    asked.get_by_label("This server asks for a key").fill(secret)
    asked.get_by_role("button", name="Sign in").click()
    expect(asked).to_have_count(0)

    locked.get_by_label("Message").fill("Hello")
    locked.get_by_label("Message").press("Enter")
    expect(locked.get_by_text("You are in.")).to_be_visible()

    locked.reload()
    expect(locked.get_by_role("dialog")).to_have_count(0)
    locked.get_by_role("button", name="Sign out").click()
    expect(locked.get_by_role("dialog")).to_be_visible()


def test_who_has_no_key_is_told_what_is_missing(locked: Page):
    locked.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(locked.get_by_role("alert")).to_contain_text("key")
    with locked.expect_response("**/api/ps"):
        locked.get_by_role("button", name="Models").click()
    locked.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    # Neither the view of models nor a return to the page asks again by itself.
    locked.wait_for_timeout(2500)
    asked: list[str] = []
    locked.on("request", lambda request: asked.append(request.url))
    locked.evaluate("window.dispatchEvent(new Event('focus'))")
    locked.get_by_role("button", name="Talk", exact=True).click()
    expect(locked.get_by_role("dialog")).to_have_count(0)
    assert [url for url in asked if url.endswith("/api/tags")] == []
