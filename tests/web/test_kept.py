"""Chats that an earlier page kept, or a later one. `kept/` has a chat of each format that a page has had."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running import Server

KEPT = sorted((Path(__file__).parent / "kept").glob("*.json"))
LATER = {"id": "later", "format": 99, "tree": {"root": []}}
PUT = """(chat) => new Promise((resolve, reject) => {
    const opened = indexedDB.open("puna");
    opened.onsuccess = () => {
        const asked = opened.result.transaction("chats", "readwrite").objectStore("chats").put(chat);
        asked.onsuccess = () => { opened.result.close(); resolve(); };
        asked.onerror = () => reject(asked.error);
    };
})"""
GET = """(id) => new Promise((resolve) => {
    const opened = indexedDB.open("puna");
    opened.onsuccess = () => {
        const asked = opened.result.transaction("chats").objectStore("chats").get(id);
        asked.onsuccess = () => { opened.result.close(); resolve(asked.result); };
    };
})"""


@pytest.fixture
def opened(add_scripted: Callable[..., list[bytes]], page: Page) -> Page:
    add_scripted("talker", "An answer.")
    page.reload()
    expect(page.get_by_label("Model").first).to_have_value("talker:latest")
    return page


def send(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


def goes_on(page: Page) -> dict[str, Any]:
    """What is asked when a kept chat is opened and goes on."""
    page.get_by_role("button", name="Falling stones", exact=True).click()
    expect(page.locator("article.theirs strong")).to_have_text("44")
    page.get_by_text("Settings", exact=True).click()
    expect(page.get_by_label("System prompt")).to_have_value("Be brief.")
    expect(page.get_by_label("temperature", exact=True)).to_have_value("0.5")
    page.get_by_text("Settings", exact=True).click()
    with page.expect_request("**/api/chat") as request:
        send(page, "And in four seconds?")
    expect(page.locator("article.theirs").last).to_contain_text("An answer.")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    return json.loads(request.value.post_data or "")


@pytest.mark.parametrize("file", KEPT, ids=[file.stem for file in KEPT])
def test_a_chat_of_an_earlier_format_opens_and_goes_on(opened: Page, file: Path, tmp_path: Path):
    chat = json.loads(file.read_text())
    opened.evaluate(PUT, chat)
    opened.reload()
    asked = goes_on(opened)
    assert asked["options"] == {"temperature": 0.5}
    assert [message["content"] for message in asked["messages"]] == [
        "Be brief.",
        "How far does it fall?",
        "About **44** metres.",
        "And in four seconds?",
    ]
    opened.reload()
    expect(opened.locator("article.mine")).to_have_count(2)
    assert opened.evaluate(GET, chat["id"])["format"] == 4

    exported = tmp_path / "chats.json"
    exported.write_text(json.dumps({"puna": 4 if chat.get("format") == 4 else 1, "chats": [chat]}))
    opened.once("dialog", lambda dialog: dialog.accept())
    opened.get_by_role("button", name="Delete: Falling stones").click()
    opened.get_by_label("Import").set_input_files(exported)
    assert goes_on(opened)["options"] == {"temperature": 0.5}


def test_a_chat_of_the_third_format_becomes_one_of_the_fourth_and_nothing_of_it_is_lost(page: Page):
    third, fourth = (json.loads(file.read_text()) for file in KEPT[2:4])
    found = page.evaluate(
        """async (chat) => {
            const base = document.querySelector("script[type=module]").src;
            return (await import(new URL("formats.js", base))).upgraded(chat);
        }""",
        third,
    )
    assert found == fourth | {"id": third["id"]}


def test_there_is_a_file_of_the_present_format(opened: Page):
    present = opened.evaluate(
        """async () => {
            const base = document.querySelector("script[type=module]").src;
            return (await import(new URL("formats.js", base))).FORMAT;
        }"""
    )
    assert [file.stem for file in KEPT] == [str(number) for number in range(1, present + 1)]


def test_a_chat_of_a_later_format_is_named_and_left_as_it_is(opened: Page):
    opened.evaluate(PUT, LATER)
    opened.reload()
    expect(opened.get_by_role("navigation")).to_contain_text("A newer version of Puna has stored chats here")
    send(opened, "First?")
    expect(opened.locator("article.theirs")).to_contain_text("An answer.")
    expect(opened.locator(".chats li")).to_have_count(1)
    assert opened.evaluate(GET, "later") == LATER


def test_a_chat_that_another_tab_has_renewed_is_not_overwritten(opened: Page):
    send(opened, "First?")
    expect(opened.get_by_role("button", name="Regenerate")).to_be_visible()
    (chat,) = [opened.url.partition("#")[2]]
    opened.evaluate(PUT, LATER | {"id": chat})
    send(opened, "Second?")
    expect(opened.get_by_role("alert")).to_contain_text("newer version of Puna")
    expect(opened.locator("article.theirs").last).to_contain_text("An answer.")
    assert opened.evaluate(GET, chat) == LATER | {"id": chat}


def test_the_store_of_a_later_page_is_left_as_it_is(
    browser: Browser, server: Server, add_scripted: Callable[..., list[bytes]]
):
    add_scripted("talker", "An answer.")
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.goto(f"{server.url}/api/version")
    page.evaluate(
        """() => new Promise((resolve) => {
            const opened = indexedDB.open("puna", 2);
            opened.onupgradeneeded = () => opened.result.createObjectStore("chats", { keyPath: "id" });
            opened.onsuccess = () => { opened.result.close(); resolve(); };
        })"""
    )
    page.evaluate(PUT, LATER)
    page.goto(f"{server.url}/ui")
    send(page, "First?")
    expect(page.locator("article.theirs")).to_contain_text("An answer.")
    expect(page.get_by_role("alert")).to_contain_text("newer version of Puna")
    assert page.evaluate(GET, "later") == LATER
    context.close()


def test_a_file_of_a_later_page_is_refused(opened: Page, tmp_path: Path):
    (tmp_path / "later.json").write_text(json.dumps({"puna": 99, "chats": []}))
    opened.get_by_label("Import").set_input_files(tmp_path / "later.json")
    expect(opened.get_by_role("alert")).to_contain_text("newer version of Puna")
