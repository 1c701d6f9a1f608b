"""What goes wrong around the page is said in its place, and the chat is not lost."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.models import scripted_model
from tests.running import Server, serving


@pytest.fixture
def opened(add_scripted: Callable[..., list[bytes]], page: Page) -> Page:
    add_scripted("talker", "An answer.")
    add_scripted("endless", [*"A line of it.\n\n"], endless=True, context_length=131072)
    page.reload()
    expect(page.get_by_label("Model").first.locator("option")).to_have_count(2)
    choose(page, "talker:latest")
    return page


@pytest.fixture
def port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        found = taken.getsockname()[1]
    return f"127.0.0.1:{found}"


def choose(page: Page, model: str) -> None:
    page.get_by_label("Model").first.select_option(model)


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


def answered_again(page: Page) -> None:
    page.get_by_role("button", name="Regenerate").click()
    expect(page.locator("article.theirs").last).to_contain_text("An answer.")


def test_a_server_that_is_started_again_in_the_middle(
    browser: Browser, store: Path, add_scripted: Callable[..., list[bytes]], port: str
):
    add_scripted("endless", [*"A line of it.\n\n"], endless=True, context_length=131072)
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    with serving(store, OLLAMA_HOST=port, OLLAMA_CONTEXT_LENGTH="65536") as server:
        page.goto(f"{server.url}/ui")
        say(page, "Begin?")
        expect(page.locator("article.theirs")).to_contain_text("A line of it.")
        server.process.kill()
        server.process.wait()
        expect(page.locator("article").get_by_role("alert")).to_contain_text("cannot be reached")
    with serving(store, OLLAMA_HOST=port, OLLAMA_CONTEXT_LENGTH="65536"):
        before = page.locator("article.theirs .markdown").inner_text()
        page.get_by_role("button", name="Continue").click()
        expect(page.locator("article").get_by_role("alert")).to_have_count(0)
        page.wait_for_function(
            "length => document.querySelector('article.theirs .markdown').innerText.length > length",
            arg=len(before),
        )
        page.keyboard.press("Escape")
        expect(page.get_by_role("button", name="Send")).to_be_visible()
        context.close()


def test_an_upload_that_a_restart_breaks_off_is_tried_again(
    browser: Browser, store: Path, tmp_path: Path, add_scripted: Callable[..., list[bytes]], port: str
):
    add_scripted("talker", "An answer.")
    scripted_model(tmp_path / "given.gguf", "I was given.")
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    network = context.new_cdp_session(page)
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 50_000}
    with serving(store, OLLAMA_HOST=port) as server:
        page.goto(f"{server.url}/ui")
        page.get_by_role("button", name="Models").click()
        page.get_by_text("Create a model").click()
        page.get_by_label("GGUF file").set_input_files(tmp_path / "given.gguf")
        network.send("Network.emulateNetworkConditions", slow)
        page.get_by_role("button", name="Create", exact=True).click()
        expect(page.get_by_role("status")).to_have_text("Sending")
        server.process.kill()
        server.process.wait()
        expect(page.get_by_role("alert").filter(has_text="broke off")).to_be_visible()
    network.send("Network.emulateNetworkConditions", slow | {"uploadThroughput": -1})
    with serving(store, OLLAMA_HOST=port) as server:
        page.get_by_role("button", name="Create", exact=True).click()
        expect(page.get_by_role("status")).to_have_text("The model is ready.")
        answer = httpx.post(
            f"{server.url}/api/generate", json={"model": "given", "prompt": "?", "stream": False}
        )
        assert answer.json()["response"] == "I was given."
        context.close()


def test_a_page_that_is_offline_keeps_the_chat_and_goes_on_later(opened: Page):
    say(opened, "First?")
    expect(opened.locator("article.theirs")).to_contain_text("An answer.")
    opened.context.set_offline(True)
    say(opened, "Second?")
    expect(opened.locator("article").get_by_role("alert")).to_contain_text("cannot be reached")
    opened.context.set_offline(False)
    answered_again(opened)
    opened.reload()
    expect(opened.locator("article.mine .plain")).to_have_text(["First?", "Second?"])


def test_a_model_removed_meanwhile_is_named_and_another_answers(opened: Page, server: Server):
    say(opened, "First?")
    expect(opened.get_by_role("button", name="Regenerate")).to_be_visible()
    httpx.request("DELETE", f"{server.url}/api/delete", json={"model": "talker"})
    say(opened, "Second?")
    expect(opened.locator("article").get_by_role("alert")).to_contain_text("talker")
    expect(opened.get_by_label("Model").first.locator("option", has_text="not installed")).to_have_count(1)
    choose(opened, "endless:latest")
    opened.get_by_role("button", name="Regenerate").click()
    expect(opened.locator("article.theirs").last).to_contain_text("A line of it.")
    opened.keyboard.press("Escape")


def test_a_browser_without_room_says_so_and_the_chat_is_saved_as_a_file(opened: Page, server: Server):
    session = opened.context.new_cdp_session(opened)
    session.send("Storage.overrideQuotaForOrigin", {"origin": server.url, "quotaSize": 1})
    say(opened, "First?")
    expect(opened.get_by_role("alert")).to_contain_text("no space left")
    expect(opened.locator("article.theirs")).to_contain_text("An answer.")
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Save this chat").click()
    assert "An answer." in Path(download.value.path()).read_text()


def test_a_page_that_a_proxy_writes_is_not_shown_as_an_answer(opened: Page):
    opened.route("**/api/chat", lambda route: route.fulfill(status=502, body="<html>Bad Gateway</html>"))
    say(opened, "First?")
    expect(opened.locator("article").get_by_role("alert")).to_have_text("HTTP 502")


def test_the_models_say_that_the_server_is_gone_until_it_is_back(opened: Page):
    opened.get_by_role("button", name="Models").click()
    opened.context.set_offline(True)
    expect(opened.get_by_role("alert")).to_contain_text("cannot be reached")
    opened.context.set_offline(False)
    expect(opened.get_by_role("alert")).to_have_count(0)
