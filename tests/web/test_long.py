"""Long chats and fast answers: what is drawn stays little, and what is read stays in its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.running import Server

MESSAGES = 10_000


@pytest.fixture
def model(add_scripted: Callable[..., list[bytes]]) -> None:
    add_scripted("talker", "An answer.")


def opened(page: Page, folder: Path, count: int) -> Page:
    """The page with a chat of `count` messages, which are of different heights."""
    messages = [
        {"role": ("user", "assistant")[at % 2], "content": f"Message {at}.\n\n" + "Some text.\n\n" * (at % 7)}
        for at in range(count)
    ]
    chat = {"title": "Long", "model": "talker:latest", "settings": {}, "changed": 1, "messages": messages}
    (folder / "long.json").write_text(json.dumps({"puna": 1, "chats": [chat]}))
    page.get_by_label("Import").set_input_files(folder / "long.json")
    page.get_by_role("button", name="Long", exact=True).click()
    expect(page.get_by_text(f"Message {count - 1}.")).to_be_in_viewport()
    return page


@pytest.fixture
def long(model: None, page: Page, tmp_path: Path) -> Page:
    return opened(page, tmp_path, MESSAGES)


def test_of_a_long_chat_only_what_is_near_is_drawn(long: Page):
    drawn = long.locator("article")
    assert 0 < drawn.count() <= 200
    long.locator(".messages").evaluate("place => place.scrollTo(0, 0)")
    expect(long.get_by_text("Message 0.", exact=True)).to_be_in_viewport()
    expect(long.get_by_text(f"Message {MESSAGES // 2}.")).to_have_count(0)
    assert drawn.count() <= 200


def test_a_long_chat_goes_on(long: Page):
    long.get_by_label("Message").fill("And now?")
    long.get_by_label("Message").press("Enter")
    expect(long.locator("article.theirs").last).to_contain_text("An answer.")
    expect(long.locator("article.theirs").last).to_be_in_viewport()
    long.reload()
    expect(long.get_by_text("And now?").last).to_be_in_viewport()


def test_what_is_read_stays_in_its_place_while_blocks_are_drawn_above(long: Page):
    """Scrolling up a little at a time meets every message in its order."""
    place = long.locator(".messages")
    place.hover()
    number = """place => {
        const articles = [...place.querySelectorAll("article")];
        const first = articles.find((one) => one.getBoundingClientRect().bottom > 100);
        return Number(/\\d+/.exec(first.innerText)[0]);
    }"""
    read = [place.evaluate(number)]
    for _ in range(40):
        top = place.evaluate("place => place.scrollTop")
        long.mouse.wheel(0, -400)
        long.wait_for_function("([top]) => document.querySelector('.messages').scrollTop !== top", arg=[top])
        read.append(place.evaluate(number))
    steps = [before - after for before, after in pairwise(read)]
    assert all(0 <= step <= 12 for step in steps), read
    assert read[-1] < read[0] - 20


def test_with_many_chats_a_key_draws_only_what_it_changes(model: None, page: Page, tmp_path: Path):
    named = {"model": "talker:latest", "settings": {}, "messages": [{"role": "user", "content": "x"}]}
    chats = [{"title": f"Chat {at}", "changed": at, **named} for at in range(600)]
    (tmp_path / "many.json").write_text(json.dumps({"puna": 1, "chats": chats}))
    page.get_by_label("Import").set_input_files(tmp_path / "many.json")
    expect(page.locator(".chats li")).to_have_count(600)
    page.evaluate(
        """async () => {
            const base = document.querySelector("script[type=module]").src;
            const { options } = await import(new URL("../vendored/preact.js", base));
            const { diffed } = options;
            options.diffed = (node) => { window.drawn++; diffed?.(node); };
        }"""
    )
    page.get_by_label("Message").fill("And")
    page.evaluate("window.drawn = 0")
    page.get_by_label("Message").press_sequentially(" on")
    expect(page.get_by_label("Message")).to_have_value("And on")
    page.evaluate("new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    assert 0 < page.evaluate("window.drawn") < 1000


def test_a_reader_who_went_up_is_led_to_the_end(model: None, page: Page, tmp_path: Path):
    to_end = opened(page, tmp_path, 20).get_by_role("button", name="To the end")
    expect(to_end).to_have_count(0)
    place = page.locator(".messages")
    end = place.evaluate("place => place.scrollHeight")
    place.evaluate("place => place.scrollTo(0, 0)")
    expect(to_end).to_be_in_viewport()
    assert place.evaluate("place => place.scrollHeight") == end
    to_end.click()
    expect(page.get_by_text("Message 19.")).to_be_in_viewport()
    expect(to_end).to_have_count(0)
    expect(place).to_be_focused()


def test_of_a_long_block_of_code_the_copy_button_stays_in_view(model: None, page: Page, tmp_path: Path):
    code = "```python\n" + "".join(f"line_{at} = {at}\n" for at in range(200)) + "```"
    messages = [{"role": "user", "content": "Code?"}, {"role": "assistant", "content": code}]
    chat = {"title": "Code", "model": "talker:latest", "settings": {}, "changed": 1, "messages": messages}
    (tmp_path / "code.json").write_text(json.dumps({"puna": 1, "chats": [chat]}))
    page.get_by_label("Import").set_input_files(tmp_path / "code.json")
    page.get_by_role("button", name="Code", exact=True).click()
    page.get_by_text("line_120").scroll_into_view_if_needed()
    expect(page.locator(".copy-code")).to_be_in_viewport(ratio=1)


def test_an_answer_that_streams_is_drawn_once_a_frame_and_moves_nothing_above_it(
    browser: Browser, server: Server, add_scripted: Callable[..., list[bytes]]
):
    script = [
        *("A paragraph with **bold** words.\n\n- one\n- two\n\n```\ncode\n```\n\n|a|b|\n|-|-|\n|1|2|\n\n" * 8)
    ]
    add_scripted("talker", script)
    context = browser.new_context(locale="en-GB", viewport={"width": 1000, "height": 600})
    page = context.new_page()
    page.goto(f"{server.url}/ui")
    page.evaluate(
        """() => {
            window.moved = [];
            new PerformanceObserver((list) => list.getEntries().forEach((entry) => window.moved.push(
                ...entry.sources
                    .filter(({ node }) => !entry.hadRecentInput || node?.parentElement?.closest(".markdown"))
                    .map(({ node, previousRect, currentRect }) =>
                        [node?.nodeName, previousRect.y, currentRect.y, previousRect.x, currentRect.x]))))
                .observe({ type: "layout-shift", buffered: false });
            // The time of a timeline is that of the frame.
            window.drawn = {};
            new MutationObserver((list) => {
                const now = document.timeline.currentTime;
                if (!list.some(({ target }) => target.closest?.(".markdown"))) return;
                window.drawn[now] = (window.drawn[now] ?? 0) + 1;
            }).observe(document.querySelector(".messages"), { childList: true, subtree: true });
        }"""
    )
    page.get_by_label("Message").fill("Begin?")
    page.get_by_label("Message").press("Enter")
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible(timeout=60_000)
    assert page.evaluate("window.moved") == []
    *drawn, last = page.evaluate("Object.values(window.drawn)")
    assert set(drawn) == {1}
    # The end may come within a frame that has drawn: it is drawn at once, with the figures below it.
    assert last <= 2
    context.close()


def test_a_growing_answer_keeps_the_blocks_it_has(page: Page):
    kept = page.evaluate(
        """async () => {
            const base = document.querySelector("script[type=module]").src;
            const { draw, rendered } = await import(new URL("markdown.js", base));
            const text = "# One\\n\\nTwo [x].\\n\\n- a\\n- b\\n\\n```js\\nlet a;\\n```\\n\\n> q\\n\\n"
                + "|a|\\n|-|\\n|1|\\n\\n[x]: https://e.com\\n";
            const plain = (element) => element.textContent.replace(/\\s/g, "");
            const place = document.createElement("div"), whole = document.createElement("div");
            let heading;
            const differing = [];
            for (let end = 1; end <= text.length; end++) {
                draw(place, text.slice(0, end));
                whole.replaceChildren(rendered(text.slice(0, end)));
                if (plain(place) !== plain(whole)) differing.push(end);
                if (end === 20) heading = place.firstChild;
                const anew = heading && place.firstChild !== heading;
                if (anew && end < text.indexOf("[x]:")) differing.push(end);
            }
            return [differing, place.querySelectorAll("a").length];
        }"""
    )
    assert kept == [[], 1]


def test_what_is_printed_is_the_talk_alone_on_paper_of_its_length(page: Page, tmp_path: Path):
    opened(page, tmp_path, 20).emulate_media(media="print")
    expect(page.get_by_role("navigation")).to_be_hidden()
    expect(page.get_by_label("Message")).to_be_hidden()
    paper = page.evaluate("document.documentElement.scrollHeight")
    assert paper >= page.locator("article").last.evaluate("one => one.offsetTop") > 720
