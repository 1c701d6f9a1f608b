"""Chats that Open WebUI exported are imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.web.test_drafts import PICTURE

THOUGHT = (
    '<details type="reasoning" done="true" duration="3">\n<summary>Thought for 3 seconds</summary>\n'
    "&gt; Let me see.\n</details>\n"
)


def said(
    name: str, role: str, content: str, parent: str | None, *children: str, **more: Any
) -> dict[str, Any]:
    tree = {"id": name, "parentId": parent, "childrenIds": children}
    return {**tree, "role": role, "content": content, "timestamp": 1764000000, **more}


MESSAGES = [
    said("a", "user", "What is this?", None, "b", "c",
         files=[{"type": "image", "url": f"data:image/png;base64,{PICTURE}"}]),
    said("b", "assistant", "A cat.", "a", model="seer:latest", done=True),
    said("c", "assistant", f"{THOUGHT}A **dog**.", "a", "d", model="seer:latest", done=True),
    said("d", "user", "Sure?", "c", "e", "f"),
    said("e", "assistant", "Yes.", "d", model="talker:latest", done=True),
    said("f", "assistant", "No.", "d", model="talker:latest", done=True),
]  # fmt: skip
EXPORTED = [
    {
        "id": "x", "user_id": "y", "title": "An animal", "updated_at": 1764000000, "created_at": 1763000000,
        "share_id": None, "archived": False, "pinned": True, "meta": {}, "folder_id": None,
        "chat": {
            "id": "", "title": "An animal", "models": ["talker:latest"], "params": {"system": "Be brief."},
            "history": {"messages": {one["id"]: one for one in MESSAGES}, "currentId": "e"},
            "messages": [], "tags": [], "timestamp": 1763000000000, "files": [],
        },
    }
]  # fmt: skip


def imported(page: Page, tmp_path: Path, content: Any) -> None:
    (tmp_path / "chat-export.json").write_text(json.dumps(content))
    page.get_by_label("Import").set_input_files(tmp_path / "chat-export.json")


def test_a_chat_comes_with_its_branches_and_pictures_and_goes_on(opened: Page, tmp_path: Path):
    imported(opened, tmp_path, EXPORTED)
    opened.get_by_role("button", name="An animal", exact=True).click()
    theirs = opened.locator("article.theirs")
    expect(theirs.locator(".markdown")).to_have_text(["A dog.", "Yes."])
    expect(theirs.locator(".by")).to_have_text(["seer:latest", "talker:latest"])
    assert [theirs.nth(at).locator(".branches small").inner_text() for at in (0, 1)] == ["2 / 2", "1 / 2"]
    source = opened.locator("article.mine img").get_attribute("src")
    assert source == f"data:image/png;base64,{PICTURE}"
    opened.route("**/api/show", lambda route: route.fulfill(json={"capabilities": ["vision"]}))
    with opened.expect_request("**/api/chat") as request:
        opened.get_by_label("Message").fill("Go on.")
        opened.get_by_label("Message").press("Enter")
    said = json.loads(request.value.post_data or "")["messages"]
    assert [message["content"] for message in said] == [
        "Be brief.", "What is this?", "A **dog**.", "Sure?", "Yes.", "Go on.",
    ]  # fmt: skip
    assert said[1]["images"] == [PICTURE]
    expect(opened.get_by_role("button", name="Send")).to_be_visible()
    theirs.first.get_by_role("button", name="Earlier branch").click()
    expect(theirs.locator(".markdown")).to_have_text(["A cat."])
    opened.reload()
    expect(opened.get_by_role("button", name="Pin: An animal")).to_have_attribute("aria-pressed", "true")
    expect(theirs.locator(".markdown")).to_have_text(["A cat."])


LOOP = [said("a", "user", "x", "b", "b"), said("b", "assistant", "y", "a", "a")]


@pytest.mark.parametrize(
    "chat",
    [{}, {"history": {}}, {"history": {"messages": {"a": {"role": "user"}}, "currentId": "a"}}],
    ids=range(3),
)
def test_a_list_of_something_else_is_refused(opened: Page, tmp_path: Path, chat: Any):
    imported(opened, tmp_path, [{**EXPORTED[0], "chat": chat}])
    expect(opened.get_by_role("alert")).to_contain_text("chat-export.json")
    expect(opened.locator(".chats li")).to_have_count(0)


def test_a_tree_that_bites_its_tail_does_not_hang_the_page(opened: Page, tmp_path: Path):
    root = said("r", "user", "Root?", None, "a")
    history = {"messages": {one["id"]: one for one in [root, *LOOP]}, "currentId": "a"}
    imported(opened, tmp_path, [{**EXPORTED[0], "chat": {**EXPORTED[0]["chat"], "history": history}}])
    expect(opened.get_by_role("alert")).to_contain_text("chat-export.json")
