"""Several tabs with the same chats, and with the same chat: nothing that one of them does is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

MERGE = """async ([mine, theirs]) => {
    const base = document.querySelector("script[type=module]").src;
    return (await import(new URL("merge.js", base))).merged(mine, theirs);
}"""
# Words, because a token of more than a letter is the same one when the answer is read back.
WORDS = ["one-", "two-", "three-", "four-"]


@pytest.fixture
def opened(add_scripted: Callable[..., list[bytes]], page: Page) -> Page:
    """The page in a chat with one answer."""
    add_scripted("talker", "An answer.")
    add_scripted("endless", WORDS, endless=True, context_length=131072)
    page.reload()
    page.get_by_label("Model").first.select_option("talker:latest")
    say(page, "First?")
    answered(page)
    return page


@pytest.fixture
def other(opened: Page) -> Page:
    """Another tab with the same chat, which the first one reaches."""
    with opened.expect_popup() as popup:
        opened.evaluate("window.other = window.open(location.href)")
    tab = popup.value
    expect(tab.locator("article.mine .plain")).to_have_text(["First?"])
    expect(tab.get_by_label("Model").first.locator("option")).to_have_count(2)
    return tab


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


def at_once(page: Page, click: str) -> None:
    """Click in the first tab and in the other one, before either can hear of what the other does."""
    page.evaluate(
        "click => [window, window.other].forEach(({ document }) => document.querySelector(click).click())",
        click,
    )


def answered(page: Page) -> None:
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()


def stop(page: Page) -> None:
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Send")).to_be_visible()


def mine(page: Page) -> list[str]:
    return page.locator("article.mine .plain").all_inner_texts()


def turn(page: Page, to: str) -> None:
    """Walk at the second message, which forks, to the other branch."""
    fork = page.locator("article.mine").nth(1)
    expect(fork).to_contain_text("/ 2")
    earlier = fork.get_by_role("button", name="Earlier branch")
    (earlier if earlier.is_enabled() else fork.get_by_role("button", name="Later branch")).click()
    expect(fork.locator(".plain")).to_have_text(to)


def test_tabs_show_the_same_chats(opened: Page, other: Page):
    say(opened, "Second?")
    expect(other.locator("article.mine .plain")).to_have_text(["First?", "Second?"])
    expect(other.locator("article.theirs").last).to_contain_text("An answer.")
    answered(opened)
    say(other, "Third?")
    expect(opened.locator("article.mine .plain")).to_have_text(["First?", "Second?", "Third?"])
    answered(other)
    opened.reload()
    expect(opened.locator("article.mine .plain")).to_have_text(["First?", "Second?", "Third?"])


@pytest.mark.parametrize("model", ["talker", "endless"])
def test_two_tabs_that_ask_in_one_chat_at_once_are_both_answered(opened: Page, other: Page, model: str):
    opened.get_by_label("Model").first.select_option(f"{model}:latest")
    expect(other.get_by_label("Model").first).to_have_value(f"{model}:latest")
    tabs = {opened: "Here?", other: "There?"}
    for tab, text in tabs.items():
        tab.get_by_label("Message").fill(text)
    for tab in tabs:
        expect(tab.get_by_role("button", name="Send")).to_be_enabled()
    at_once(opened, ".write button")
    wanted = "An answer." if model == "talker" else "one-two-three-"
    for tab in tabs:
        expect(tab.locator("article.theirs").last).to_contain_text(wanted)
    if model == "endless":
        for tab in tabs:
            stop(tab)
    for tab in tabs:
        answered(tab)
        # Each tab stays with its own answer.
        assert mine(tab) == ["First?", tabs[tab]]
        expect(tab.locator("article.mine").nth(1)).to_contain_text("/ 2")
    turn(opened, "There?")
    expect(opened.locator("article.theirs").last).to_contain_text(wanted)
    opened.reload()
    # The reload may come before the turn is stored: then the other branch is shown.
    expect(opened.locator("article.mine").nth(1)).to_contain_text("/ 2")
    turn(opened, "Here?" if mine(opened)[1] == "There?" else "There?")
    expect(opened.locator("article.theirs").last).to_contain_text(wanted)


def test_an_answer_asked_for_again_in_two_tabs_has_three_branches(opened: Page, other: Page):
    at_once(opened, ".theirs footer > button + button")
    for tab in (opened, other):
        answered(tab)
        expect(tab.locator("article.theirs")).to_contain_text("/ 3")


def test_an_answer_continued_in_two_tabs_has_both_ends(opened: Page, other: Page):
    opened.get_by_label("Model").first.select_option("endless:latest")
    say(opened, "Second?")
    expect(opened.locator("article.theirs").last).to_contain_text("one-two-three-")
    stop(opened)
    expect(other.get_by_role("button", name="Continue")).to_be_visible()
    # One tab alone goes on where the answer stopped.
    before = opened.locator("article.theirs .markdown").last.inner_text()
    opened.get_by_role("button", name="Continue").click()
    grown = "length => [...document.querySelectorAll('.theirs .markdown')].at(-1).innerText.length > length"
    other.wait_for_function(grown, arg=len(before))
    stop(opened)
    expect(other.locator(".branches")).to_have_count(0)
    for tab in (opened, other):
        expect(tab.get_by_role("button", name="Continue")).to_be_visible()
    before = max(
        (tab.locator("article.theirs .markdown").last.inner_text() for tab in (opened, other)), key=len
    )
    at_once(opened, "article:last-of-type footer > button:nth-of-type(3)")
    for tab in (opened, other):
        tab.wait_for_function(grown, arg=len(before))
        expect(tab.locator("article.theirs").last).not_to_contain_text("/ 3")
    for tab in (opened, other):
        stop(tab)
    for tab in (opened, other):
        expect(tab.locator("article.theirs").last).to_contain_text("/ 2")


def test_a_chat_that_one_tab_deletes_while_another_answers_in_it_stays_deleted(opened: Page, other: Page):
    opened.get_by_label("Model").first.select_option("endless:latest")
    say(opened, "Second?")
    expect(opened.locator("article.theirs").last).to_contain_text("one-two-three-")
    other.once("dialog", lambda dialog: dialog.accept())
    other.get_by_role("button", name="Delete: First?").click()
    expect(opened.get_by_role("button", name="Send")).to_be_visible()
    expect(opened.locator(".chats li")).to_have_count(0)
    other.reload()
    expect(other.get_by_role("heading", name="What is on your mind?")).to_be_visible()
    expect(other.locator(".chats li")).to_have_count(0)


def test_a_chat_pinned_in_one_tab_stays_pinned_when_another_answers_in_it(opened: Page, other: Page):
    opened.get_by_label("Model").first.select_option("endless:latest")
    say(opened, "Second?")
    expect(opened.locator("article.theirs").last).to_contain_text("one-two-three-")
    other.get_by_role("button", name="Pin: First?").click()
    expect(opened.get_by_role("button", name="Pin: First?")).to_have_attribute("aria-pressed", "true")
    stop(opened)
    opened.reload()
    expect(opened.get_by_role("button", name="Pin: First?")).to_have_attribute("aria-pressed", "true")


def message(name: str, changed: int = 0, **more: Any) -> dict[str, Any]:
    return {"id": name, "role": "assistant", "content": f"{name} {changed}", "changed": changed, **more}


def paths(messages: list[dict[str, Any]]) -> set[str]:
    """Every way through a chat, from its beginning to an end."""
    if not messages:
        return {""}
    (head, *rest) = messages
    branches = [[{**head, "fork": None}, *rest]]
    if fork := head.get("fork"):
        assert fork["branches"][fork["shown"]] == []
        branches += [branch for at, branch in enumerate(fork["branches"]) if at != fork["shown"]]
    return {f"{branch[0]['content']}/{path}" for branch in branches for path in paths(branch[1:])}


def test_what_either_tab_has_is_in_the_whole(page: Page):
    a, b, c, d = (message(name) for name in "abcd")
    forked = {**b, "fork": {"shown": 0, "branches": [[], [c, d]]}}
    nested = {**c, "fork": {"shown": 1, "branches": [[d], []]}}
    cases = [
        ([a, b], [a, b, c], {"a 0/b 0/c 0/"}),
        ([a, b, c], [a], {"a 0/b 0/c 0/"}),
        ([a, b], [a, c], {"a 0/b 0/", "a 0/c 0/"}),
        ([a, forked], [a, c], {"a 0/b 0/", "a 0/c 0/d 0/"}),
        ([a, c], [a, forked], {"a 0/b 0/", "a 0/c 0/d 0/"}),
        ([a, forked], [a, nested, b], {"a 0/b 0/", "a 0/c 0/b 0/", "a 0/c 0/d 0/", "a 0/d 0/"}),
        ([b], [a], {"a 0/", "b 0/"}),
        ([], [a, forked], {"a 0/b 0/", "a 0/c 0/d 0/"}),
        ([a, message("b", 2)], [a, message("b", 1)], {"a 0/b 2/"}),
        ([a, message("b", 1)], [a, message("b", 2), c], {"a 0/b 2/c 0/"}),
        ([a, b, c], [a, message("e", 1, continues="b")], {"a 0/e 1/c 0/"}),
        ([a, message("f", 2, continues="b")], [a, b], {"a 0/f 2/"}),
        ([a, message("f", 2, continues="b")], [a, message("e", 1, continues="b")], {"a 0/f 2/", "a 0/e 1/"}),
    ]
    for ours, theirs, whole in cases:
        found = page.evaluate(MERGE, [ours, theirs])
        assert paths(found) == whole, (ours, theirs)
        # What is shown stays shown.
        assert found[0]["id"] == (ours or theirs)[0]["id"]
        # Once they agree, nothing more comes of it.
        assert paths(page.evaluate(MERGE, [found, theirs])) == whole
        assert paths(page.evaluate(MERGE, [json.loads(json.dumps(theirs)), found])) == whole


def test_a_chat_of_ten_thousand_messages_is_merged(page: Page):
    long = [message(str(number)) for number in range(10_000)]
    found = page.evaluate(MERGE, [long, [*long[:9000], message("x")]])
    assert len(found) == 10_000
    assert [branch[0]["id"] for branch in found[9000]["fork"]["branches"] if branch] == ["x"]
