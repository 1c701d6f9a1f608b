"""Chats are stored in parts: the page holds the open one, and nothing of the others is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.running import Server
from tests.web.test_attachments import DOT

CHATS = 40
PICTURE = 1_000_000
"""Characters of one picture; each chat has one."""
FILL = """async ([chats, size]) => {
    const opened = await new Promise((resolve) => {
        const asked = indexedDB.open("puna");
        asked.onsuccess = () => resolve(asked.result);
    });
    for (let at = 0; at < chats; at++) {
        const data = String(at % 10).repeat(size);
        const picture = { name: "a.png", kind: "vision", type: "image/png", data };
        const messages = [
            { id: "a", role: "user", content: `Question ${at}`, attachments: [picture] },
            { id: "b", role: "assistant", content: `The needle is ${at}.`, done_reason: "stop" },
        ];
        const named = { id: `chat-${at}`, title: `Chat ${at}`, model: "talker:latest" };
        const chat = { ...named, settings: {}, changed: at + 1, format: 4, messages };
        const kept = opened.transaction("chats", "readwrite");
        kept.objectStore("chats").put(chat);
        await new Promise((resolve) => { kept.oncomplete = resolve; });
    }
    opened.close();
}"""


@pytest.fixture
def filled(opened: Page) -> Page:
    """The page of a person with many chats with pictures, which an earlier page stored whole."""
    opened.evaluate(FILL, [CHATS, PICTURE])
    opened.reload()
    expect(opened.locator(".chats li")).to_have_count(CHATS)
    return opened


def held(page: Page) -> int:
    """Bytes that the page's scripts hold."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return int(session.send("Runtime.getHeapUsage")["usedSize"])


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")
    expect(page.locator("article.theirs").last).to_contain_text("An answer.")
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def no_room(page: Page, server: Server, size: int) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Storage.overrideQuotaForOrigin", {"origin": server.url, "quotaSize": size})


def test_only_the_open_chat_is_in_memory(filled: Page, tmp_path: Path):
    def opens(at: int) -> None:
        filled.get_by_role("button", name=f"Chat {at}", exact=True).click()
        expect(filled.locator("article.theirs .markdown")).to_have_text(f"The needle is {at}.")
        source = filled.get_by_role("img", name="a.png").get_attribute("src") or ""
        assert source == "data:image/png;base64," + str(at % 10) * PICTURE

    assert held(filled) < CHATS * PICTURE / 4
    for at in range(0, CHATS, 5):
        opens(at)
    assert held(filled) < CHATS * PICTURE / 4
    filled.get_by_label("Search chats").fill("NEEDLE is 17.")
    expect(filled.locator(".chats .title")).to_have_text(["Chat 17"])
    filled.get_by_label("Search chats").fill("")
    filled.get_by_role("button", name="Pin: Chat 3", exact=True).click()
    expect(filled.locator(".chats .title").first).to_have_text("Chat 3")
    opens(3)

    with filled.expect_download() as download:
        filled.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "chats.json")
    chats = json.loads((tmp_path / "chats.json").read_text())["chats"]
    assert {chat["title"] for chat in chats} == {f"Chat {at}" for at in range(CHATS)}
    for chat in chats:
        at = int(chat["title"].removeprefix("Chat "))
        assert chat["messages"][0]["attachments"][0]["data"] == str(at % 10) * PICTURE
        assert chat["messages"][1]["content"] == f"The needle is {at}."


def test_a_picture_is_stored_once_and_deleted_with_its_chat(opened: Page):
    opened.get_by_label("Attach files").set_input_files(
        [{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Buy milk."}]
    )
    say(opened, "Summarise.")
    opened.locator("article.mine").get_by_role("button", name="Edit").click()
    opened.get_by_label("Edit message").fill("Summarise it.")
    opened.get_by_label("Edit message").press("Enter")
    expect(opened.locator("article.mine")).to_contain_text("2 / 2")
    expect(opened.get_by_role("button", name="Send")).to_be_visible()
    count = """() => new Promise((resolve) => {
        const opened = indexedDB.open("puna");
        opened.onsuccess = () => {
            const asked = opened.result.transaction("chats").objectStore("chats").getAllKeys();
            asked.onsuccess = () => { opened.result.close(); resolve(asked.result.map(([part]) => part)); };
        };
    })"""
    assert opened.evaluate(count) == ["attachment", "entry", "messages"]
    opened.reload()
    expect(opened.locator("article.mine .attachments")).to_contain_text("notes.txt")
    opened.once("dialog", lambda dialog: dialog.accept())
    opened.get_by_role("button", name="Delete: Summarise.").click()
    expect(opened.locator(".chats li")).to_have_count(0)
    assert opened.evaluate(count) == []


def test_a_tab_that_shows_the_same_chat_keeps_its_picture(opened: Page):
    opened.route("**/api/show", lambda route: route.fulfill(json={"capabilities": ["vision"]}))
    opened.route("**/api/chat", lambda route: route.fulfill(
        json={"message": {"content": "An answer."}, "done": True}))  # fmt: skip
    opened.get_by_label("Attach files").set_input_files([DOT])
    say(opened, "What is this?")
    with opened.expect_popup() as popup:
        opened.evaluate("window.open(location.href)")
    other = popup.value
    source = opened.get_by_role("img", name="dot.png").get_attribute("src") or ""
    expect(other.get_by_role("img", name="dot.png")).to_have_attribute("src", source)
    say(opened, "And now?")
    expect(other.locator("article.mine")).to_have_count(2)
    expect(other.get_by_role("img", name="dot.png")).to_have_attribute("src", source)


def test_a_chat_for_which_there_is_no_room_stays_while_another_is_read(opened: Page, server: Server):
    no_room(opened, server, 1)
    say(opened, "First?")
    opened.get_by_role("button", name="New chat").click()
    say(opened, "Second?")
    expect(opened.get_by_role("alert")).to_contain_text("no space left")
    opened.get_by_role("button", name="First?", exact=True).click()
    expect(opened.locator("article.mine .plain")).to_have_text(["First?"])
    opened.get_by_role("button", name="Second?", exact=True).click()
    expect(opened.locator("article.mine .plain")).to_have_text(["Second?"])
    expect(opened.locator("article.theirs")).to_contain_text("An answer.")
    # The browser asks before it is lost.
    with opened.expect_event("dialog") as asked:
        opened.close(run_before_unload=True)
    assert asked.value.type == "beforeunload"
    asked.value.accept()


def test_without_room_for_their_parts_whole_chats_open_as_before(opened: Page, server: Server):
    opened.evaluate(FILL, [3, 100_000])
    no_room(opened, server, 1)
    opened.reload()
    expect(opened.locator(".chats .title")).to_have_text(["Chat 2", "Chat 1", "Chat 0"])
    opened.get_by_role("button", name="Chat 1", exact=True).click()
    expect(opened.locator("article.theirs")).to_contain_text("The needle is 1.")
    expect(opened.get_by_role("img", name="a.png")).to_be_visible()


def test_the_browser_is_asked_not_to_forget(opened: Page):
    opened.evaluate(
        "() => { navigator.storage.persist = async () => { window.asked = (window.asked ?? 0) + 1; } }"
    )
    say(opened, "First?")
    say(opened, "Second?")
    assert opened.evaluate("window.asked") == 1


def test_a_new_visit_begins_with_the_model_last_talked_to(
    opened: Page, server: Server, add_scripted: Callable[..., list[bytes]]
):
    say(opened, "First?")
    add_scripted("newer", "Another answer.")
    opened.goto("about:blank")
    opened.goto(f"{server.url}/ui")
    expect(opened.get_by_label("Model").first.locator("option")).to_have_count(2)
    expect(opened.get_by_label("Model").first.locator("option").first).to_have_text("newer:latest")
    expect(opened.get_by_label("Model").first).to_have_value("talker:latest")
