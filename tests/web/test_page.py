"""What a person does on the page, against a real server with scripted models."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.running import Server

ANSWER = "Here is **bold** text.\n\n```python\nx = 1\n```\n\nThat is all."
HOSTILE = [
    "<script>window.hit=1</script>",
    "<img src=x onerror=window.hit=1>",
    "<svg onload=window.hit=1><circle/></svg>",
    "<svg><script>window.hit=1</script></svg>",
    "<iframe srcdoc='<script>parent.hit=1</script>'></iframe>",
    "<details open ontoggle=window.hit=1>x</details>",
    "<math><mtext><table><mglyph><style><img src=x onerror=window.hit=1></style></mglyph></table></math>",
    "<a href='javascript:window.hit=1'>here</a>",
    "[here](javascript:window.hit=1)",
    "[here](data:text/html,<script>opener.hit=1</script>)",
    "[here](JaVaScRiPt&colon;window.hit=1)",
    '![x](x"onerror="window.hit=1)',
    "<input autofocus onfocus=window.hit=1>",
    "<video><source onerror=window.hit=1></video>",
    "```html\n<img src=x onerror=window.hit=1>\n```",
    '```"><img src=x onerror=window.hit=1>\ncode\n```',
    "<style>*{display:none}</style><form action=/api/delete><button>x</button></form>",
    "<noscript><p title='</noscript><img src=x onerror=window.hit=1>'>",
]

IMPORTED = """async (first) => {
    const found = new Set([first]);
    for (const url of found) {
        const text = await (await fetch(url)).text();
        const imports = text.matchAll(/^\\s*(?:import|export)\\b[^;]*?from\\s*"([^"]+)"/gm);
        for (const [, name] of imports) found.add(new URL(name, url).href);
    }
    return [...found].sort();
}"""
"""Every module that one imports, by itself or by others."""

SHIFTS = """() => new Promise((resolve) => {
    const seen = [];
    const place = ({ node, previousRect: from, currentRect: to }) => [node?.className, from.y, to.y];
    const see = ({ sources }) => seen.push(sources.map(place));
    new PerformanceObserver((list) => list.getEntries().forEach(see))
        .observe({ type: "layout-shift", buffered: true });
    const wait = (frames) =>
        frames ? requestAnimationFrame(() => wait(frames - 1)) : setTimeout(resolve, 0, seen);
    wait(3);
})"""
"""What has moved since the page was first drawn, and whence and whither."""


@pytest.fixture
def model(add_scripted: Callable[..., list[bytes]]) -> None:
    add_scripted("talker", ANSWER)


@pytest.fixture
def endless(add_scripted: Callable[..., list[bytes]]) -> None:
    add_scripted("endless", " on and on", endless=True, context_length=131072)


def say(page: Page, text: str) -> None:
    page.get_by_label("Message").fill(text)
    page.get_by_label("Message").press("Enter")


@pytest.mark.usefixtures("model")
def test_a_talk_is_answered_kept_and_found_again(page: Page):
    say(page, "Say something?")
    answer = page.locator("article.theirs")
    expect(answer.locator("strong")).to_have_text("bold")
    expect(answer.locator("pre code")).to_have_text("x = 1")
    expect(answer.get_by_text("tok/s")).to_be_visible()
    assert answer.locator("pre .hljs-number").count() == 1
    page.reload()
    expect(page.locator("article.theirs strong")).to_have_text("bold")
    page.get_by_role("button", name="Regenerate").click()
    expect(page.get_by_text("tok/s")).to_be_visible()
    assert page.locator("article").count() == 2
    page.once("dialog", lambda dialog: dialog.accept("Renamed"))
    page.get_by_role("button", name="Rename: Say something?").click()
    expect(page.get_by_role("button", name="Renamed", exact=True)).to_be_visible()
    page.get_by_label("Search chats").fill("nowhere in it")
    expect(page.locator(".chats li")).to_have_count(0)
    page.get_by_label("Search chats").fill("BOLD")
    expect(page.locator(".chats li")).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete: Renamed").click()
    expect(page.locator("article")).to_have_count(0)
    page.reload()
    expect(page.locator(".chats li")).to_have_count(0)


@pytest.mark.usefixtures("endless")
def test_escape_stops_an_answer_and_keeps_what_there_is(page: Page):
    say(page, "Begin?")
    expect(page.locator("article.theirs")).to_contain_text("on and on")
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    page.reload()
    expect(page.locator("article.theirs")).to_contain_text("on and on")


@pytest.mark.usefixtures("model")
def test_nothing_of_hostile_markdown_runs(page: Page):
    for text in HOSTILE:
        found = page.evaluate(
            """async (text) => {
                const base = document.querySelector("script[type=module]").src;
                const { rendered } = await import(new URL("markdown.js", base));
                const place = document.createElement("div");
                document.body.append(place);
                place.append(rendered(text));
                for (const link of place.querySelectorAll("a")) {
                    if (link.href.startsWith("http")) continue;
                    if (link.hasAttribute("href")) link.click();
                }
                await new Promise((resolve) => setTimeout(resolve, 30));
                const bad = [...place.querySelectorAll("script,img,svg,iframe,style,form,input,video,math")];
                const on = [...place.querySelectorAll("*")].flatMap((each) => each.getAttributeNames())
                    .filter((name) => name.startsWith("on"));
                place.remove();
                return [window.hit ?? 0, bad.length, on];
            }""",
            text,
        )
        assert found == [0, 0, []], text


def test_nothing_of_a_hostile_answer_runs(add_scripted: Callable[..., list[bytes]], page: Page):
    script = "\n\n".join(HOSTILE)
    add_scripted("hostile", [*script, "\n\n", "The end."])
    page.reload()
    say(page, "<img src=x onerror=window.hit=1>?")
    expect(page.locator("article.theirs footer")).to_be_visible()
    page.locator("article.theirs .markdown").wait_for()
    assert page.evaluate("window.hit ?? 0") == 0
    assert page.locator("article").locator("script, img, svg, iframe, style, form, input, video").count() == 0


@pytest.mark.usefixtures("model")
def test_models_are_loaded_copied_and_deleted(page: Page, server: Server):
    page.get_by_role("button", name="Models").click()
    page.get_by_role("button", name="Load", exact=True).click()
    expect(page.locator(".loaded")).to_be_visible()
    assert [one["name"] for one in httpx.get(f"{server.url}/api/ps").json()["models"]] == ["talker:latest"]
    page.get_by_role("button", name="Unload").click()
    expect(page.locator(".loaded")).to_have_count(0)
    page.once("dialog", lambda dialog: dialog.accept("other"))
    page.get_by_role("button", name="Copy").click()
    expect(page.locator(".models li")).to_have_count(2)
    page.once("dialog", lambda dialog: dialog.accept())
    page.locator(".models li", has_text="other").get_by_role("button", name="Delete").click()
    expect(page.locator(".models li")).to_have_count(1)
    page.get_by_label("Name of a model").fill("!!")
    page.get_by_role("button", name="Pull").click()
    expect(page.get_by_role("alert")).to_be_visible()


@pytest.mark.usefixtures("model")
def test_it_fits_a_narrow_window_and_speaks_chinese(browser: Browser, server: Server):
    context = browser.new_context(locale="zh-CN", viewport={"width": 360, "height": 640}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{server.url}/ui")
    expect(page.get_by_role("button", name="发送")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    # The chats make room for the talk until they are asked for.
    expect(page.get_by_role("button", name="English")).to_have_count(0)
    page.get_by_role("button", name="对话列表").click()
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()
    context.close()


@pytest.mark.usefixtures("model")
def test_what_is_typed_before_the_script_is_there_is_kept_and_sent(browser: Browser, server: Server):
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    held: list[Route] = []
    page.route("**/app/app.js", lambda route: held.append(route))
    page.goto(f"{server.url}/ui", wait_until="commit")
    box = page.locator(".write textarea")
    expect(box).to_be_focused()
    page.keyboard.type("Too early?")
    page.evaluate("window.box = document.querySelector('.write textarea')")
    for route in held:
        route.continue_()
    expect(page.get_by_role("button", name="Send")).to_be_enabled()
    assert page.evaluate("window.box === document.activeElement")
    page.keyboard.type(" No.")
    page.keyboard.press("Enter")
    expect(page.locator("article.mine .plain")).to_have_text("Too early? No.")
    expect(page.locator("article.theirs")).to_contain_text("That is all.")
    context.close()


@pytest.mark.usefixtures("model")
@pytest.mark.parametrize("width", [1000, 360])
def test_nothing_moves_when_the_script_takes_over(browser: Browser, server: Server, width: int):
    context = browser.new_context(locale="en-GB", viewport={"width": width, "height": 640})
    page = context.new_page()
    held: list[Route] = []
    page.route("**/app/app.js", lambda route: held.append(route))
    page.goto(f"{server.url}/ui", wait_until="commit")
    # The page without its script has been drawn.
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
    for route in held:
        route.continue_()
    page.wait_for_load_state("networkidle")
    shifts = page.evaluate(SHIFTS)
    assert shifts == []
    context.close()


@pytest.mark.usefixtures("model")
def test_what_is_written_and_not_sent_stays_while_the_person_looks_elsewhere(page: Page):
    page.get_by_label("Message").fill("Half a question")
    page.get_by_role("button", name="Models").click()
    expect(page.get_by_label("Message")).to_have_count(0)
    page.get_by_role("button", name="Talk", exact=True).click()
    expect(page.get_by_label("Message")).to_have_value("Half a question")
    say(page, "Whole?")
    expect(page.get_by_label("Message")).to_have_value("")
    page.get_by_role("button", name="New chat").click()
    expect(page.locator("article")).to_have_count(0)
    expect(page.get_by_label("Message")).to_have_value("")


def test_a_view_that_cannot_be_loaded_says_so_and_opens_later(browser: Browser, server: Server):
    context = browser.new_context(locale="en-GB")
    page = context.new_page()
    page.route("**/app/models.js", lambda route: route.abort())
    page.goto(f"{server.url}/ui")
    page.get_by_role("button", name="Models").click()
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.unroute("**/app/models.js")
    page.get_by_role("button", name="Talk", exact=True).click()
    page.get_by_role("button", name="Models").click()
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    context.close()


def test_programs_hear_that_it_runs_and_browsers_are_led_to_the_page(server: Server):
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.5", "text/html;q=0", ""):
        answer = httpx.get(server.url, headers={"accept": accept})
        assert (answer.status_code, answer.text) == (200, "Ollama is running"), accept
    led = httpx.get(server.url, headers={"accept": "text/html,application/xml;q=0.9,*/*;q=0.8"})
    assert (led.status_code, led.headers["location"]) == (302, "/ui")


def test_the_first_load_is_small_and_its_files_are_kept(page: Page, server: Server):
    page.wait_for_load_state("networkidle")
    urls: list[str] = page.evaluate("performance.getEntriesByType('resource').map(({ name }) => name)")
    files = [url for url in urls if "/ui/" in url]
    scripts = {url for url in files if url.endswith(".js")}
    linked = page.evaluate(
        "[...document.querySelectorAll('link[rel=modulepreload]')].map(({ href }) => href)"
    )
    # What the page stands on is asked for at once, and the rest after it.
    (first,) = (url for url in scripts if url.endswith("/app.js"))
    assert page.evaluate(IMPORTED, first) == sorted(linked)
    assert {url.rpartition("/")[2] for url in scripts.difference(linked)} >= {
        "chats.js",
        "compare.js",
        "markdown.js",
        "models.js",
        "palette.js",
        "panel.js",
    }
    wire = 0
    with httpx.Client() as client:
        for url in [f"{server.url}/ui", *files]:
            with client.stream("GET", url, headers={"accept-encoding": "gzip"}) as answer:
                wire += len(b"".join(answer.iter_raw()))
                assert "default-src 'none'" in answer.headers["content-security-policy"]
                etag = answer.headers["etag"]
                assert ("immutable" in answer.headers["cache-control"]) == (url in files)
            assert client.get(url, headers={"if-none-match": etag}).status_code == 304
        assert wire <= 150_000
        assert client.get(f"{server.url}/ui/older/app/app.js").status_code == 404
