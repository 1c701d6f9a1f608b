"""Formulas in answers."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page

FORMULAS = [
    ("$x^2$", 1), ("a $\\frac{1}{2}$ b $y$", 2), ("$$\\int_0^1 x\\,dx$$", 1), ("\\(a+b\\)", 1),
    ("\\[a+b\\]", 1),
    ("$$\na\n$$", 1), ("text\n\n$$\na \\\\ b\n$$\n\ntext", 1),
    ("| a |\n|-|\n| $x$ |", 1), ("- $x$", 1),
    ("It costs $5 and $10.", 0), ("`$x$`", 0), ("```\n$x$\n```", 0), ("$ x $", 0),
    ("\\$x\\$", 0), ("$x", 0), ("$$", 0),
]  # fmt: skip
HOSTILE = [
    "$\\href{javascript:window.hit=1}{x}$",
    "$\\includegraphics{https://example.com/x.png}$",
    "$\\htmlData{onclick=window.hit=1}{x}$",
    "$\\class{copy-code}{x}$",
    "$<img src=x onerror=window.hit=1>$",
    "$\\text{<script>window.hit=1</script>}$",
    "$$\\def\\x{\\x\\x}\\x$$",
    "$\\url{javascript:window.hit=1}$",
    '<code class="formula">\\href{javascript:window.hit=1}{x}</code>',
]
DRAWN = """async (text) => {
    const base = document.querySelector("script[type=module]").src;
    const { draw } = await import(new URL("markdown.js", base));
    await import(new URL("../vendored/temml.js", base));
    const place = document.createElement("div");
    document.body.append(place);
    draw(place, text);
    // The first formula is set once its library is there.
    await new Promise((resolve) => setTimeout(resolve));
    draw(place, "");
    draw(place, text);
    place.querySelectorAll("a").forEach((link) => link.click());
    const found = {
        formulas: place.querySelectorAll("math").length, hit: window.hit ?? 0,
        bad: place.querySelectorAll("script, img, a, iframe, [onclick], [href], [data-onclick]").length,
    };
    place.remove();
    return found;
}"""


def drawn(page: Page, text: str) -> dict[str, Any]:
    return page.evaluate(DRAWN, text)


@pytest.mark.parametrize(("text", "formulas"), FORMULAS)
def test_formulas_become_mathml(page: Page, text: str, formulas: int):
    page.evaluate(DRAWN, "$x$")
    assert drawn(page, text) == {"formulas": formulas, "hit": 0, "bad": 0}


def test_nothing_of_a_hostile_formula_runs(page: Page):
    page.evaluate(DRAWN, "$x$")
    for text in HOSTILE:
        found = drawn(page, text)
        assert (found["hit"], found["bad"]) == (0, 0), text


def test_the_library_is_loaded_with_the_first_formula_only(page: Page):
    loaded = "performance.getEntriesByType('resource').filter(({ name }) => name.includes('temml')).length"
    assert page.evaluate(loaded) == 0
    page.evaluate(DRAWN, "$x$")
    assert page.evaluate(loaded) == 1
