"""What an answer's Markdown becomes on the page."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

DRAWN = """async (text) => {
    const base = document.querySelector("script[type=module]").src;
    const { rendered } = await import(new URL("markdown.js", base));
    const place = document.createElement("div");
    place.className = "markdown";
    place.append(rendered(text));
    const article = document.createElement("article");
    article.append(place);
    document.querySelector(".messages").replaceChildren(article);
}"""
TABLE = "| a | b | c |\n|:-|:-:|-:|\n| 1 | 2 | 3 |\n\n5. five\n6. six\n"
SCANNED = '<table><tr><th colspan="2">Both</th></tr><tr><td>1</td><td onclick="x()">2</td></tr></table>'
GROWN = """async ([count, step]) => {
    const base = document.querySelector("script[type=module]").src;
    const { Message } = await import(new URL("message.js", base));
    const { html, render } = await import(new URL("view.js", base));
    const place = document.createElement("div");
    document.body.append(place);
    const frame = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
    // A clock that goes on by `step` whenever it is read: so long does each drawing seem to take.
    let past = 0;
    performance.now = () => (past += step);
    const draw = (text) =>
        render(html`<${Message} running message=${{ role: "assistant", content: text }} />`, place);
    draw("");
    await frame();
    const drawn = new Set();
    for (let at = 1; at <= count; at++) {
        draw("x".repeat(at));
        await frame();
        drawn.add(place.querySelector(".markdown").textContent);
    }
    // The end does not wait, and what was asked for before it does not come after it.
    const end = { role: "assistant", content: "The end.", done_reason: "stop" };
    render(html`<${Message} message=${end} />`, place);
    const last = [place.querySelector(".markdown").textContent.trim()];
    for (let at = 0; at < 3; at++) await frame();
    last.push(place.querySelector(".markdown").textContent.trim());
    return [drawn.size, ...last];
}"""


def draw(page: Page, text: str) -> None:
    page.evaluate(DRAWN, text)


def style(page: Page, selector: str, name: str) -> str:
    return page.locator(selector).evaluate("(one, name) => getComputedStyle(one)[name]", name)


def test_columns_stand_as_they_are_told_and_lists_begin_where_they_begin(page: Page):
    draw(page, TABLE)
    stand = [style(page, f"th >> nth={at}", "textAlign").removeprefix("-webkit-") for at in range(3)]
    assert stand == ["left", "center", "right"]
    expect(page.locator("ol")).to_have_attribute("start", "5")


def test_a_table_wider_than_a_phone_scrolls_and_breaks_no_number(page: Page):
    page.set_viewport_size({"width": 320, "height": 600})
    draw(page, "| a | b | c | d |\n|-|-|-|-|\n| 1111111111 | 2222222222 | 3333333333 | 4444444444 |")
    lines = page.locator("td").first.evaluate(
        """cell => {
            const text = document.createRange();
            text.selectNodeContents(cell);
            return text.getClientRects().length;
        }"""
    )
    assert lines == 1
    assert page.locator("table").evaluate("table => table.scrollWidth > table.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_a_table_in_html_is_a_table(page: Page):
    draw(page, SCANNED)
    expect(page.locator("th")).to_have_attribute("colspan", "2")
    expect(page.get_by_role("cell")).to_have_text(["1", "2"])
    expect(page.locator("[onclick]")).to_have_count(0)


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Put it in <head>, before </body>.", "Put it in <head>, before </body>."),
        ("<MyButton onPress={x} /> is one.", "<MyButton onPress={x} /> is one."),
        ("<think>Hm.", "<think>Hm."),
        ("<!-- a note -->", "<!-- a note -->"),
        ("H<sub>2</sub>O and <kbd>Esc</kbd>", "H2O and Esc"),
        ("one<br>two", "one\ntwo"),
        ("- [ ] later\n- [x] done", "☐ later\n☑ done"),
    ],
)
def test_no_text_is_lost_for_looking_like_html(page: Page, text: str, read: str):
    draw(page, text)
    expect(page.locator(".messages .markdown")).to_have_text(read, use_inner_text=True)


def test_a_picture_is_a_link_that_loads_nothing(page: Page):
    draw(
        page,
        '![A <b>"cat"](https://e.com/a.png?x=1&y=2 "t") ![](https://e.com/b.png) ![x](javascript:x)',
    )
    links = page.locator(".messages .markdown a")
    expect(links).to_have_text(['A <b>"cat"', "https://e.com/b.png", "x"])
    expect(links.first).to_have_attribute("href", "https://e.com/a.png?x=1&y=2")
    assert links.last.get_attribute("href") is None
    expect(page.locator(".messages img")).to_have_count(0)


def test_each_block_is_read_in_the_direction_of_its_language(page: Page):
    draw(page, "مرحبا بالعالم.\n\nHello.\n\n1. واحد\n\n```python\n# عربي\n```")
    directions = [style(page, f".messages .markdown > * >> nth={at}", "direction") for at in range(4)]
    assert directions == ["rtl", "ltr", "rtl", "ltr"]


def test_what_a_person_writes_is_read_in_its_own_direction(
    add_scripted: Callable[..., list[bytes]], page: Page
):
    add_scripted("talker", "Yes.")
    page.get_by_label("Message").fill("مرحبا")
    assert style(page, ".write textarea", "direction") == "rtl"
    page.get_by_label("Message").press("Enter")
    expect(page.locator("article.mine .plain")).to_have_text("مرحبا")
    assert style(page, "article.mine .plain", "direction") == "rtl"


def test_code_names_its_language_and_its_button_stays_while_it_scrolls(page: Page):
    draw(page, "```python\n" + "x = 1; " * 200 + "\n```")
    assert style(page, "pre", "display") == "grid"
    label = "one => getComputedStyle(one, '::before').content"
    assert page.locator("pre").evaluate(label) == '"python"'
    button = page.get_by_role("button", name="Copy")
    before = button.bounding_box()
    page.locator("pre code").evaluate("code => code.scrollTo(500, 0)")
    assert page.locator("pre code").evaluate("code => code.scrollLeft") == 500
    assert button.bounding_box() == before


@pytest.mark.parametrize("plain", [False, True], ids=["encrypted", "plain"])
def test_code_is_copied_and_pasted_also_where_the_browser_withholds_its_clipboard(page: Page, plain: bool):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    if plain:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    draw(page, "```python\nif x:\n    y = 1\n```")
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    page.get_by_label("Message").focus()
    page.keyboard.press("Control+v")
    expect(page.get_by_label("Message")).to_have_value("if x:\n    y = 1\n")


def test_code_is_coloured_unless_it_is_very_long(page: Page):
    draw(page, "```python\n" + "x = 1\n" * 100 + "```")
    expect(page.locator("pre .hljs-number")).to_have_count(100)
    draw(page, "```python\n" + "x = 1\n" * 10_000 + "```")
    expect(page.locator("pre code")).to_contain_text("x = 1")
    expect(page.locator("pre .hljs-number")).to_have_count(0)


@pytest.mark.parametrize(("step", "fewest", "most"), [(0, 12, 20), (100, 1, 8)], ids=["quick", "slow"])
def test_an_answer_whose_drawing_takes_long_is_drawn_less_often(
    page: Page, step: int, fewest: int, most: int
):
    drawn, *ends = page.evaluate(GROWN, [20, step])
    assert fewest <= drawn <= most
    assert ends == ["The end.", "The end."]


def test_the_next_formula_is_looked_for_in_its_paragraph_only(page: Page):
    """Or else a long text without formulas would be read to its end at each paragraph."""
    found = page.evaluate(
        """async (texts) => {
            const base = document.querySelector("script[type=module]").src;
            const { FORMULAS } = await import(new URL("formulas.js", base));
            return texts.map((text) => FORMULAS.map(({ start }) => start(text) ?? -1));
        }""",
        ["a\n$$x$$", "a\n\n$$x$$"],
    )
    assert found == [[2, 2], [-1, -1]]
