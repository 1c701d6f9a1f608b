"""Chats that an earlier page kept, or a later one.

`kept/` has a chat of each format that a page has had: whole, and from the fifth on as the list of its parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running import Server

KEPT = sorted((Path(__file__).parent / "kept").glob("*.json"))
WHOLE, PRESENT = 4, len(KEPT)
"""The last format of whole chats, and the present one."""

LATER = {"id": ["entry", "later"], "format": 99, "tree": {"root": []}}
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


def put(page: Page, file: Path) -> list[Any]:
    """Store what a file of `kept/` has; its parts, or the whole chat alone."""
    content = json.loads(file.read_text())
    parts = content if isinstance(content, list) else [content]
    for part in parts:
        page.evaluate(PUT, part)
    return parts


@pytest.mark.parametrize("file", KEPT, ids=[file.stem for file in KEPT])
def test_a_chat_of_any_format_opens_and_goes_on(opened: Page, file: Path):
    put(opened, file)
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
    (chat,) = [opened.url.partition("#")[2]]
    assert opened.evaluate(GET, ["entry", chat])["format"] == PRESENT
    assert opened.evaluate(GET, chat) is None


@pytest.mark.parametrize("file", KEPT[:WHOLE], ids=[file.stem for file in KEPT[:WHOLE]])
def test_a_file_with_a_chat_of_an_earlier_format_is_imported(opened: Page, file: Path, tmp_path: Path):
    chat = json.loads(file.read_text())
    exported = tmp_path / "chats.json"
    exported.write_text(json.dumps({"puna": chat.get("format", 1), "chats": [chat]}))
    opened.get_by_label("Import").set_input_files(exported)
    assert goes_on(opened)["options"] == {"temperature": 0.5}


def test_nothing_of_a_chat_is_lost_from_the_third_format_on(opened: Page):
    third, fourth = (json.loads(file.read_text()) for file in KEPT[2:4])
    upgraded = """async (chat) => {
        const base = document.querySelector("script[type=module]").src;
        return (await import(new URL("formats.js", base))).upgraded(chat);
    }"""
    found = opened.evaluate(upgraded, third)
    assert found == opened.evaluate(upgraded, fourth) | {"id": third["id"]}
    # The parts of a whole chat are stored, and make up the chat again.
    put(opened, KEPT[3])
    opened.reload()
    opened.get_by_role("button", name="Falling stones", exact=True).click()
    expect(opened.locator("article.theirs strong")).to_have_text("44")
    parts = [opened.evaluate(GET, [part, fourth["id"]]) for part in ("entry", "messages")]
    parts.append(opened.evaluate(GET, ["attachment", fourth["id"], "f 0"]))
    known = KEPT[4].read_text().replace("3f0c6a52-5d0e-4c7e-9d57-0d8a3c1f6b05", fourth["id"])
    assert parts == json.loads(known)
    loaded = """async (id) => {
        const base = document.querySelector("script[type=module]").src;
        return (await import(new URL("storage.js", base))).load(id);
    }"""
    assert opened.evaluate(loaded, fourth["id"]) == opened.evaluate(upgraded, fourth)


def test_what_a_tab_of_an_earlier_page_still_stores_is_merged(opened: Page):
    """Such a tab goes on to store its chat whole, after this page has made parts of it."""
    fourth = json.loads(KEPT[3].read_text())
    put(opened, KEPT[4])
    late = {"id": "late", "role": "user", "content": "And in a minute?"}
    opened.evaluate(PUT, fourth | {"id": json.loads(KEPT[4].read_text())[0]["id"][1],
                                   "messages": [*fourth["messages"], late]})  # fmt: skip
    opened.reload()
    opened.get_by_role("button", name="Falling stones", exact=True).click()
    expect(opened.locator("article.mine .plain")).to_have_text(["How far does it fall?", "And in a minute?"])
    expect(opened.locator(".chats li")).to_have_count(1)


def test_there_is_a_file_of_the_present_format(opened: Page):
    present = opened.evaluate(
        """async () => {
            const base = document.querySelector("script[type=module]").src;
            return (await import(new URL("formats.js", base))).FORMAT;
        }"""
    )
    assert present == PRESENT


def test_a_chat_of_a_later_format_is_named_and_left_as_it_is(opened: Page):
    opened.evaluate(PUT, LATER)
    opened.reload()
    expect(opened.get_by_role("navigation")).to_contain_text("A newer version of Puna has stored chats here")
    send(opened, "First?")
    expect(opened.locator("article.theirs")).to_contain_text("An answer.")
    expect(opened.locator(".chats li")).to_have_count(1)
    assert opened.evaluate(GET, LATER["id"]) == LATER


def test_a_chat_that_another_tab_has_renewed_is_not_overwritten(opened: Page):
    send(opened, "First?")
    expect(opened.get_by_role("button", name="Regenerate")).to_be_visible()
    (chat,) = [opened.url.partition("#")[2]]
    opened.evaluate(PUT, LATER | {"id": ["entry", chat]})
    send(opened, "Second?")
    expect(opened.get_by_role("alert")).to_contain_text("newer version of Puna")
    expect(opened.locator("article.theirs").last).to_contain_text("An answer.")
    assert opened.evaluate(GET, ["entry", chat]) == LATER | {"id": ["entry", chat]}


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
    assert page.evaluate(GET, LATER["id"]) == LATER
    context.close()


def test_a_file_of_a_later_page_is_refused(opened: Page, tmp_path: Path):
    (tmp_path / "later.json").write_text(json.dumps({"puna": 99, "chats": []}))
    opened.get_by_label("Import").set_input_files(tmp_path / "later.json")
    expect(opened.get_by_role("alert")).to_contain_text("newer version of Puna")
