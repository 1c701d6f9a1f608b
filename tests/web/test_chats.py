"""Chats that are pinned, saved as files and read back, on the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Dialog, Page, expect


@pytest.fixture
def model(add_scripted: Callable[..., list[bytes]]) -> None:
    add_scripted("talker", "An **answer**.")


@pytest.fixture
def talked(model: None, page: Page) -> Page:
    """The page with two chats, the second one open."""
    expect(page.get_by_label("Model").first).to_have_value("talker:latest")
    for question in ("First question", "Second question"):
        page.get_by_role("button", name="New chat").click()
        page.get_by_label("Message").fill(question)
        page.get_by_label("Message").press("Enter")
        expect(page.get_by_role("button", name="Regenerate")).to_be_visible()
        expect(page.locator(".chats li")).to_have_count(1 if question.startswith("First") else 2)
    return page


def titles(page: Page) -> list[str]:
    return page.locator(".chats .title").all_inner_texts()


def saved(page: Page, button: str, to: Path) -> str:
    with page.expect_download() as download:
        page.get_by_role("button", name=button, exact=True).click()
    download.value.save_as(to)
    return to.read_text(encoding="utf-8")


def test_a_pinned_chat_stands_first(talked: Page):
    assert titles(talked) == ["Second question", "First question"]
    talked.get_by_role("button", name="Pin: First question").click()
    expect(talked.locator(".chats .title").first).to_have_text("First question")
    talked.reload()
    expect(talked.locator(".chats .title").first).to_have_text("First question")
    talked.get_by_role("button", name="Pin: First question").click()
    expect(talked.locator(".chats .title").first).to_have_text("Second question")


def test_a_chat_is_saved_to_be_read(talked: Page, tmp_path: Path):
    text = saved(talked, "Save as Markdown: First question", tmp_path / "chat.md")
    assert text.startswith("# First question\n")
    assert "An **answer**." in text


def test_each_answer_names_the_model_that_gave_it_also_in_files(
    talked: Page, add_scripted: Callable[..., list[bytes]], tmp_path: Path
):
    add_scripted("other", "Another.")
    talked.reload()
    talked.get_by_label("Model").first.select_option("other:latest")
    talked.get_by_label("Message").fill("And you?")
    talked.get_by_label("Message").press("Enter")
    expect(talked.get_by_role("button", name="Regenerate")).to_be_visible()
    expect(talked.locator("article.theirs .by")).to_have_text(["talker:latest", "other:latest"])
    text = saved(talked, "Save as Markdown: Second question", tmp_path / "chat.md")
    assert [line for line in text.splitlines() if "latest" in line] == ["## talker:latest", "## other:latest"]
    kept = json.loads(saved(talked, "Export", tmp_path / "chats.json"))
    assert [message.get("model") for message in kept["chats"][0]["messages"][1::2]] == [
        "talker:latest",
        "other:latest",
    ]


@pytest.mark.parametrize("indented", [False, True])
def test_exported_chats_come_back(talked: Page, tmp_path: Path, indented: bool):
    file = tmp_path / "chats.json"
    kept = json.loads(saved(talked, "Export", file))
    assert {chat["title"] for chat in kept["chats"]} == {"First question", "Second question"}
    talked.on("dialog", lambda dialog: dialog.accept())
    for title in ("First question", "Second question"):
        talked.get_by_role("button", name=f"Delete: {title}").click()
    expect(talked.locator(".chats li")).to_have_count(0)
    # Of a file that was cut off, also between two chats, nothing is taken.
    whole = file.read_text()
    for end in (whole.index("\n]}"), whole.index('First question"'), whole.index(",\n{") + 2):
        cut = tmp_path / "cut.json"
        cut.write_text(whole[:end])
        talked.get_by_label("Import").set_input_files(cut)
        expect(talked.get_by_role("alert")).to_contain_text("cut.json")
    expect(talked.locator(".chats li")).to_have_count(0)
    # It is whole in any form of JSON.
    file.write_text(json.dumps(kept, indent=2) if indented else whole)
    talked.get_by_label("Import").set_input_files(file)
    expect(talked.locator(".chats li")).to_have_count(2)
    talked.get_by_role("button", name="First question", exact=True).click()
    expect(talked.locator(".markdown strong")).to_have_text("answer")


def test_the_chats_that_a_search_finds_are_deleted_together(talked: Page):
    talked.get_by_role("button", name="New chat").click()
    talked.get_by_label("Message").fill("Something else")
    talked.get_by_label("Message").press("Enter")
    expect(talked.locator(".chats li")).to_have_count(3)
    expect(talked.get_by_role("button", name="Regenerate")).to_be_visible()
    talked.get_by_label("Search chats").fill("question")
    expect(talked.locator(".chats li")).to_have_count(2)
    asked: list[str] = []

    def refuse(dialog: Dialog) -> None:
        asked.append(dialog.message)
        dialog.dismiss()

    talked.once("dialog", refuse)
    talked.get_by_role("button", name="Delete all").click()
    assert [message.rpartition(" ")[2] for message in asked] == ["2"]
    expect(talked.locator(".chats li")).to_have_count(2)
    talked.once("dialog", lambda dialog: dialog.accept())
    talked.get_by_role("button", name="Delete all").click()
    expect(talked.locator(".chats li")).to_have_count(0)
    talked.get_by_label("Search chats").fill("")
    expect(talked.locator(".chats .title")).to_have_text(["Something else"])
    talked.reload()
    expect(talked.locator(".chats .title")).to_have_text(["Something else"])


BROKEN: list[Any] = [
    "no JSON",
    [],
    {"puna": 99, "chats": []},
    {"puna": 1, "chats": [{"title": "t"}]},
    {"puna": 1, "chats": [{"title": "t", "model": "m", "system": "", "temperature": "", "changed": 1,
                           "messages": [{"role": "system", "content": "x"}]}]},
]  # fmt: skip


@pytest.mark.parametrize("content", BROKEN, ids=range(len(BROKEN)))
def test_a_file_without_chats_is_refused_and_nothing_is_lost(talked: Page, tmp_path: Path, content: Any):
    file = tmp_path / "other.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    talked.get_by_label("Import").set_input_files(file)
    expect(talked.get_by_role("alert")).to_contain_text("other.json")
    expect(talked.locator(".chats li")).to_have_count(2)


def test_back_and_forward_open_the_chats_of_their_addresses(talked: Page):
    shown = talked.locator("article.mine .plain")
    expect(talked).to_have_title("Second question – Puna")
    talked.get_by_role("button", name="First question", exact=True).click()
    expect(shown).to_have_text("First question")
    expect(talked).to_have_title("First question – Puna")
    talked.get_by_role("button", name="New chat").click()
    expect(talked).to_have_title("Puna")
    talked.go_back()
    expect(shown).to_have_text("First question")
    talked.get_by_role("button", name="Models").click()
    talked.go_back()
    expect(shown).to_have_text("Second question")
    talked.go_forward()
    expect(shown).to_have_text("First question")
    talked.reload()
    expect(shown).to_have_text("First question")
    entries = talked.evaluate("history.length")
    for _ in range(5):
        talked.evaluate("history.back()")
        talked.evaluate("history.forward()")
    expect(shown).to_have_text("First question")
    talked.go_back()
    expect(shown).to_have_text("Second question")
    assert talked.evaluate("history.length") == entries
