"""What a person writes, pastes and drops before it is sent."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Locator, Page, expect

from tests.running import Server
from tests.web.test_attachments import PNG

PICTURE = base64.b64encode(PNG).decode()
PASSED = """([place, kind, picture, texts]) => {
    const data = new DataTransfer();
    for (const [type, text] of Object.entries(texts)) data.setData(type, text);
    if (picture) {
        const content = Uint8Array.from(atob(picture), (c) => c.charCodeAt(0));
        data.items.add(new File([content], "given.png", { type: "image/png" }));
    }
    const what = { bubbles: true, cancelable: true };
    const event = kind === "paste" ? new ClipboardEvent("paste", { ...what, clipboardData: data })
        : new DragEvent(kind, { ...what, dataTransfer: data });
    return !document.querySelector(place).dispatchEvent(event);
}"""
"""Pastes or drags a picture and texts to a place; whether the page keeps the browser from its own action."""


@pytest.fixture
def model(add_scripted: Callable[..., list[bytes]]) -> None:
    add_scripted("talker", "An answer.")


def passed(page: Page, place: str, kind: str, picture: str, **texts: str) -> bool:
    named = {f"text/{name}": text for name, text in texts.items()}
    return page.evaluate(PASSED, [place, kind, picture, named])


def composed(box: Locator, key: str, how: dict[str, Any]) -> None:
    """Press a key that an input method takes: in Chromium and Firefox, or in Safari."""
    box.dispatch_event("keydown", {"key": key, "bubbles": True, "cancelable": True, **how})


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("how", [{"isComposing": True}, {"keyCode": 229}], ids=["composing", "safari"])
def test_keys_of_an_input_method_neither_send_nor_stop(
    page: Page, add_scripted: Callable[..., list[bytes]], how: dict[str, Any]
):
    add_scripted("endless", "on and on ", endless=True, context_length=131072)
    page.reload()
    page.get_by_label("Model").first.select_option("talker:latest")
    box = page.get_by_label("Message")
    box.fill("ni")
    composed(box, "Enter", how)
    box.press("Enter")
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()
    expect(page.locator("article.mine .plain")).to_have_text(["ni"])

    page.locator("article.mine").get_by_role("button", name="Edit").click()
    edit = page.get_by_label("Edit message")
    edit.fill("ni hao")
    for key in ("Enter", "Escape"):
        composed(edit, key, how)
    expect(edit).to_have_value("ni hao")
    edit.press("Escape")

    page.keyboard.press("Control+k")
    composed(page.get_by_role("combobox", name="Go to"), "Enter", how)
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")

    page.get_by_label("Model").first.select_option("endless:latest")
    box.fill("Begin?")
    box.press("Enter")
    expect(page.locator("article.theirs").last).to_contain_text("on and on")
    composed(box, "Escape", how)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    box.press("Escape")
    expect(page.get_by_role("button", name="Send")).to_be_visible()


@pytest.mark.usefixtures("model")
def test_on_a_touch_screen_enter_starts_a_line_and_the_button_sends(browser: Browser, server: Server):
    """Its keyboard has no Shift+Enter."""
    context = browser.new_context(locale="en-GB", has_touch=True, is_mobile=True)
    page = context.new_page()
    page.goto(f"{server.url}/ui")
    box = page.get_by_label("Message")
    box.fill("One")
    box.press("Enter")
    page.keyboard.type("Two")
    expect(box).to_have_value("One\nTwo")
    page.get_by_role("button", name="Send").tap()
    expect(page.locator("article.mine .plain")).to_have_text("One\nTwo", use_inner_text=True)
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()
    box.fill("By a keyboard")
    box.press("Control+Enter")
    expect(page.locator("article.mine")).to_have_count(2)
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()
    context.close()


def test_of_a_table_pasted_from_an_office_program_the_text_is_taken(page: Page):
    taken = passed(page, ".write textarea", "paste", PICTURE, plain="1\t2", html="<table></table>")
    assert not taken
    assert passed(page, ".write textarea", "paste", PICTURE, html="<img src=x>")
    expect(page.get_by_role("img", name="given.png")).to_have_count(1)


@pytest.mark.parametrize("room", ["Talk", "Models", "Compare"])
def test_a_file_dropped_beside_its_place_does_not_replace_the_page(page: Page, room: str):
    page.get_by_role("button", name=room, exact=True).click()
    for kind in ("dragover", "drop"):
        assert passed(page, "nav", kind, PICTURE)
        # A text that is dragged goes into any box.
        assert not passed(page, "nav", kind, "", plain="x")
    expect(page.get_by_role("img")).to_have_count(0)


def test_a_drawing_in_svg_is_attached_as_text(page: Page):
    drawing: FilePayload = {"name": "a.svg", "mimeType": "image/svg+xml", "buffer": b"<svg></svg>"}
    page.get_by_label("Attach files").set_input_files([drawing])
    expect(page.locator(".attachments")).to_contain_text("a.svg")
    expect(page.get_by_role("img")).to_have_count(0)


@pytest.mark.usefixtures("model")
def test_what_is_not_sent_survives_a_reload_and_what_is_sent_does_not_come_back(page: Page):
    box = page.get_by_label("Message")
    box.fill("Half a question")
    page.reload()
    expect(box).to_have_value("Half a question")
    box.press("Enter")
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()
    box.fill("Another half")
    page.get_by_role("button", name="New chat").click()
    expect(box).to_have_value("")
    page.reload()
    expect(box).to_have_value("")
    page.get_by_role("button", name="Half a question", exact=True).click()
    expect(box).to_have_value("Another half")
