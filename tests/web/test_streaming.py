"""What a person does while an answer comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.running import Server
from tests.web.test_kept import GET

CALL = {"function": {"name": "weather", "arguments": {}}}
# A character a token, so that a fast model fills a page slowly.
LINES = [*"A line of it.\n\n"]


@pytest.fixture
def endless(add_scripted: Callable[..., list[bytes]]) -> None:
    add_scripted("endless", LINES, endless=True, context_length=131072)


@pytest.fixture
def begun(endless: None, page: Page) -> Page:
    """The page in the middle of an answer that does not end."""
    page.reload()
    page.get_by_label("Message").fill("Begin?")
    page.get_by_label("Message").press("Enter")
    expect(page.locator("article.theirs")).to_contain_text("A line of it.")
    return page


def grows(page: Page) -> None:
    """Wait until the answer has got longer."""
    page.wait_for_function(
        "length => document.querySelector('article.theirs').innerText.length > length",
        arg=len(page.locator("article.theirs").inner_text()),
    )


def test_an_answer_goes_on_while_its_reader_is_elsewhere(begun: Page):
    begun.get_by_role("button", name="Models").click()
    begun.get_by_role("button", name="Talk", exact=True).click()
    expect(begun.get_by_role("button", name="Stop")).to_be_visible()
    grows(begun)
    begun.get_by_role("button", name="New chat").click()
    expect(begun.get_by_role("button", name="Send")).to_be_visible()
    begun.keyboard.press("Escape")
    begun.get_by_role("button", name="Begin?", exact=True).click()
    grows(begun)
    begun.keyboard.press("Escape")
    expect(begun.get_by_role("button", name="Send")).to_be_visible()
    text = begun.evaluate(GET, ["messages", begun.url.partition("#")[2]])["messages"][-1]["content"]
    # What was still on its way would be there before another answer is.
    begun.get_by_role("button", name="Regenerate").click()
    expect(begun.get_by_role("button", name="Stop")).to_be_visible()
    grows(begun)
    begun.keyboard.press("Escape")
    begun.get_by_role("button", name="Earlier branch").click()
    expect(begun.locator("article.theirs .markdown")).to_have_text(text)


def test_a_model_that_is_loaded_first_is_waited_for_by_name(endless: None, page: Page, server: Server):
    page.reload()
    held: list[Route] = []
    page.route("**/api/chat", lambda route: held.append(route))
    page.get_by_label("Message").fill("Begin?")
    page.get_by_label("Message").press("Enter")
    expect(page.locator("article.theirs")).to_contain_text("Loading the model")
    httpx.post(f"{server.url}/api/generate", json={"model": "endless", "stream": False})
    expect(page.locator("article.theirs")).not_to_contain_text("Loading the model")
    expect(page.locator(".waiting")).to_be_visible()
    for route in held:
        route.continue_()
    expect(page.locator("article.theirs")).to_contain_text("A line of it.")
    page.keyboard.press("Escape")


def test_a_chat_deleted_while_it_is_answered_stays_deleted(begun: Page):
    begun.once("dialog", lambda dialog: dialog.accept())
    begun.get_by_role("button", name="Delete: Begin?").click()
    expect(begun.locator(".chats li")).to_have_count(0)
    begun.wait_for_timeout(2500)
    begun.reload()
    expect(begun.get_by_role("heading", name="What is on your mind?")).to_be_visible()
    expect(begun.locator(".chats li")).to_have_count(0)


def test_a_reload_in_the_middle_keeps_what_has_come(begun: Page):
    chat = ["messages", begun.url.partition("#")[2]]
    while "A line of it." not in begun.evaluate(GET, chat)["messages"][-1]["content"]:
        begun.wait_for_timeout(50)
    begun.reload()
    expect(begun.locator("article.theirs")).to_contain_text("A line of it.")


def test_the_end_is_followed_until_the_reader_scrolls_up(begun: Page):
    messages = begun.locator(".messages")
    below = "place => place.scrollHeight - place.scrollTop - place.clientHeight"
    while not messages.evaluate("place => place.scrollTop > 300"):
        grows(begun)
    assert messages.evaluate(below) <= 2
    messages.hover()
    begun.mouse.wheel(0, -200)
    begun.wait_for_function(f"() => ({below})(document.querySelector('.messages')) > 2")
    # A wheel's scrolling may be smooth.
    begun.wait_for_function(
        """() => new Promise((resolve) => {
            const place = document.querySelector(".messages"), top = place.scrollTop;
            setTimeout(() => resolve(place.scrollTop === top), 300);
        })"""
    )
    read = messages.evaluate("place => place.scrollTop")
    grows(begun)
    assert messages.evaluate("place => place.scrollTop") == read
    messages.evaluate("place => place.scrollTo(0, place.scrollHeight)")
    # The page has heard of it by the next frame.
    begun.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    grows(begun)
    assert messages.evaluate(below) <= 2
    begun.keyboard.press("Escape")


@pytest.mark.parametrize(
    "end", [{"content": "Done."}, {"tool_calls": [CALL]}, {}], ids=["text", "call", "none"]
)
def test_thinking_says_how_long_it_took_whatever_follows_it(endless: None, page: Page, end: dict[str, Any]):
    said = [
        {"message": {"role": "assistant", "content": "", "thinking": "Let me see."}},
        {"message": {"role": "assistant", "content": "", **end}},
        {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop"},
    ]
    page.route("**/api/chat", lambda route: route.fulfill(body="\n".join(map(json.dumps, said))))
    page.get_by_label("Message").fill("Who?")
    page.get_by_label("Message").press("Enter")
    expect(page.locator(".thinking summary")).to_contain_text("Thought for")


def test_a_reader_who_does_not_see_hears_when_an_answer_begins_and_ends(begun: Page):
    expect(begun.get_by_role("status")).to_have_text("The model is answering.")
    begun.keyboard.press("Escape")
    expect(begun.get_by_role("status")).to_have_text("")
    begun.route("**/api/chat", lambda route: route.fulfill(body=json.dumps({"done": True})))
    begun.get_by_role("button", name="Regenerate").click()
    expect(begun.get_by_role("status")).to_have_text("The answer is complete.")
