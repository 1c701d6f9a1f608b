"""Messages edited, asked again and continued on the page; branches walked between; the keyboard."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, Route, expect

# Words, because a token of more than a letter is the same one when the answer is read back.
WORDS = ["one-", "two-", "three-", "four-", "five-"]


@pytest.fixture
def model(add_scripted: Callable[..., list[bytes]]) -> None:
    add_scripted("talker", "An answer.")


@pytest.fixture
def asked(model: None, page: Page) -> Page:
    say(page, "First?")
    say(page, "Second?")
    return page


def say(page: Page, text: str) -> None:
    before = page.locator("article.theirs").count()
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")
    answered(page, before + 1)


def answered(page: Page, answers: int) -> None:
    expect(page.locator("article.theirs")).to_have_count(answers)
    expect(page.locator("article.theirs").last.get_by_text("An answer.")).to_be_visible()
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def mine(page: Page, at: int) -> Locator:
    return page.locator("article.mine").nth(at)


def edited(page: Page, at: int, text: str) -> None:
    mine(page, at).get_by_role("button", name="Edit").click()
    page.get_by_label("Edit message").fill(text)
    page.get_by_label("Edit message").press("Enter")


def test_an_edited_message_begins_a_branch_and_the_others_stay(asked: Page):
    edited(asked, 0, "Another first?")
    answered(asked, 1)
    expect(mine(asked, 0)).to_contain_text("2 / 2")
    edited(asked, 0, "A third first?")
    expect(mine(asked, 0)).to_contain_text("3 / 3")
    answered(asked, 1)
    for _ in range(2):
        mine(asked, 0).get_by_role("button", name="Earlier branch").click()
    expect(asked.locator("article.mine .plain")).to_have_text(["First?", "Second?"])
    edited(asked, 1, "Other second?")
    answered(asked, 2)
    asked.reload()
    expect(asked.locator("article.mine .plain")).to_have_text(["First?", "Other second?"])
    mine(asked, 1).get_by_role("button", name="Earlier branch").click()
    expect(asked.locator("article.mine .plain")).to_have_text(["First?", "Second?"])
    mine(asked, 0).get_by_role("button", name="Later branch").click()
    expect(asked.locator("article.mine .plain")).to_have_text(["Another first?"])
    asked.get_by_label("Search chats").fill("other second")
    expect(asked.locator(".chats li")).to_have_count(1)


def test_branches_are_exported_and_come_back(asked: Page, tmp_path: Path):
    edited(asked, 0, "Another first?")
    answered(asked, 1)
    with asked.expect_download() as download:
        asked.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "chats.json")
    asked.once("dialog", lambda dialog: dialog.accept())
    asked.get_by_role("button", name="Delete: First?").click()
    asked.get_by_label("Import").set_input_files(tmp_path / "chats.json")
    asked.get_by_role("button", name="First?", exact=True).click()
    mine(asked, 0).get_by_role("button", name="Earlier branch").click()
    expect(asked.locator("article.mine .plain")).to_have_text(["First?", "Second?"])


@pytest.mark.parametrize("fork", [{"at": 1, "ways": [[]]}, {"at": 0, "ways": [[], []]}, {"at": 0}, [], "x"])
def test_a_file_with_broken_branches_is_refused(model: None, page: Page, tmp_path: Path, fork: object):
    chat = {"title": "t", "model": "m", "system": "", "temperature": "", "changed": 1}
    messages = [{"role": "user", "content": "x", "fork": fork}]
    (tmp_path / "broken.json").write_text(json.dumps({"puna": 1, "chats": [{**chat, "messages": messages}]}))
    page.get_by_label("Import").set_input_files(tmp_path / "broken.json")
    expect(page.get_by_role("alert")).to_contain_text("broken.json")


def test_an_answer_is_corrected_and_what_follows_it_stays(asked: Page):
    theirs = asked.locator("article.theirs")
    theirs.first.get_by_role("button", name="Edit").click()
    asked.get_by_label("Edit message").fill("A better")
    asked.get_by_label("Edit message").press("Enter")
    asked.keyboard.type("answer.")
    expect(asked.get_by_label("Edit message")).to_have_value("A better\nanswer.")
    asked.get_by_role("button", name="Save", exact=True).click()
    expect(theirs.first).to_contain_text("2 / 2")
    expect(asked.locator("article.mine .plain")).to_have_text(["First?", "Second?"])
    with asked.expect_request("**/api/chat") as request:
        say(asked, "Third?")
    said = [message["content"] for message in json.loads(request.value.post_data or "")["messages"]]
    assert said == ["First?", "A better\nanswer.", "Second?", "An answer.", "Third?"]
    asked.reload()
    expect(theirs.first).to_contain_text("A better answer.")
    theirs.first.get_by_role("button", name="Earlier branch").click()
    expect(theirs.first).to_contain_text("An answer.")
    expect(asked.locator("article.mine .plain")).to_have_text(["First?", "Second?"])


def test_a_corrected_answer_is_continued(asked: Page):
    asked.locator("article.theirs").last.get_by_role("button", name="Edit").click()
    asked.get_by_label("Edit message").fill("It begins so:")
    asked.get_by_label("Edit message").press("Control+Enter")
    with asked.expect_request("**/api/chat") as request:
        asked.get_by_role("button", name="Continue").click()
    assert json.loads(request.value.post_data or "")["messages"][-1] == {
        "role": "assistant",
        "content": "It begins so:",
    }
    expect(asked.locator("article.theirs").last).to_contain_text("It begins so:An answer.")


def test_regenerate_keeps_the_earlier_answer_as_a_branch(asked: Page):
    asked.get_by_role("button", name="Regenerate").last.click()
    expect(asked.locator("article.theirs").last).to_contain_text("2 / 2")
    answered(asked, 2)


def test_up_arrow_edits_the_last_message_and_escape_leaves_it(asked: Page):
    asked.get_by_label("Message").press("ArrowUp")
    expect(asked.get_by_label("Edit message")).to_have_value("Second?")
    expect(asked.get_by_label("Edit message")).to_be_focused()
    asked.keyboard.press("Escape")
    expect(asked.get_by_label("Edit message")).to_have_count(0)
    expect(asked.get_by_label("Message")).to_be_focused()
    asked.get_by_label("Message").fill("half written")
    asked.get_by_label("Message").press("ArrowUp")
    expect(asked.get_by_label("Edit message")).to_have_count(0)


def test_everything_is_reached_by_the_keyboard(asked: Page):
    asked.keyboard.press("Control+k")
    asked.keyboard.type("mod")
    asked.keyboard.press("Enter")
    expect(asked.get_by_role("heading", name="Models")).to_be_visible()
    asked.keyboard.press("Control+k")
    asked.keyboard.press("Enter")
    expect(asked.get_by_role("heading", name="What is on your mind?")).to_be_visible()
    asked.keyboard.press("Meta+k")
    asked.keyboard.type("first")
    asked.keyboard.press("ArrowDown")
    asked.keyboard.press("Enter")
    expect(asked.locator("article.mine .plain").first).to_have_text("First?")


def test_a_stopped_answer_is_continued(page: Page, add_scripted: Callable[..., list[bytes]]):
    add_scripted("endless", WORDS, endless=True, context_length=131072)
    page.reload()
    page.get_by_label("Message").fill("Begin?")
    page.get_by_label("Message").press("Enter")
    expect(page.locator("article.theirs")).to_contain_text("one-two-")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Continue").wait_for()
    before = page.locator("article.theirs .markdown").inner_text()
    page.get_by_role("button", name="Continue").click()
    page.wait_for_function(
        "length => document.querySelector('article.theirs .markdown').innerText.length > length",
        arg=len(before),
    )
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Continue").wait_for()
    text = page.locator("article.theirs .markdown").inner_text()
    assert text.startswith(before)
    assert text == ("".join(WORDS) * len(text))[: len(text)]
    assert page.locator("article").count() == 2


@pytest.mark.usefixtures("model")
def test_what_is_sent_before_the_models_are_known_is_answered(page: Page):
    held: list[Route] = []
    page.route("**/api/tags", lambda route: held.append(route))
    page.reload()
    page.get_by_label("Message").fill("Early?")
    page.get_by_label("Message").press("Enter")
    page.wait_for_function("() => document.querySelector('.write textarea').readOnly")
    # The first asking, and the one that sending waits for.
    while len(held) < 2:
        page.wait_for_timeout(10)
    for route in list(held):
        route.continue_()
    answered(page, 1)
    expect(page.get_by_label("Message")).to_have_value("")


def test_where_there_is_no_model_the_message_stays_and_the_page_says_so(page: Page):
    page.get_by_label("Message").fill("Anyone?")
    page.get_by_label("Message").press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("No models yet")
    expect(page.get_by_label("Message")).to_have_value("Anyone?")


@pytest.mark.usefixtures("model")
def test_the_page_says_how_full_the_context_is(page: Page):
    with page.expect_response("**/api/chat") as answer:
        say(page, "First?")
    last = json.loads(answer.value.text().splitlines()[-1])
    held = last["prompt_eval_count"] + last["eval_count"]
    expect(page.locator(".fill")).to_have_attribute("title", f"{held} / 4096")
