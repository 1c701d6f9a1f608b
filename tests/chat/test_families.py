"""Every family has all its parts, and the page that says how to add one is true."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pytest

from puna import chat
from puna.chat import Called, Exchange, Family, Thought, families, family_named, family_of
from puna.chat.families import FAMILIES
from puna.types import Message
from tests.chat.parsing import written
from tests.chat.renderers.asked import EXPECTED

from .grammars.offered import TOOLS
from .grammars.walking import admitted
from .parsing.reading import FORECAST, NOW
from .parsing.reading import TOOLS as WRITTEN_TOOLS

MODULES = [import_module(f"{families.__name__}.{found.name}") for found in iter_modules(families.__path__)]
NAMES = [variant.name for family in FAMILIES for variant in family.variants]
UNCONSTRAINED = {"plain", "deepseek3.2", "gigachat3.5", "kimi-k3", "minicpm5", "minimax-m3", "plamo3"}
"""These have no notation of calls that a grammar could constrain."""
SAME_PROMPT = {"gemma4": "gemma4-small", "harmony": "gpt-oss"}
PAGE = Path(chat.__file__).parents[2] / "docs/families.md"
USER = Message(role="user")

each_family = pytest.mark.parametrize("family", FAMILIES, ids=[one.variants[0].name for one in FAMILIES])


def test_a_file_of_the_folder_is_a_family():
    assert [module.FAMILY for module in MODULES] == [*FAMILIES]
    assert len({id(family) for family in FAMILIES}) == len(FAMILIES) > 20


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__.rpartition(".")[2])
def test_a_family_says_where_its_format_is_from(module: Any):
    assert re.search(r"^Sources?: ", module.__doc__, re.MULTILINE)


def test_a_name_means_one_family():
    assert len(NAMES) == len({*NAMES})
    for family in FAMILIES:
        for variant in family.variants:
            assert family_named(variant.name) == (family, variant)


@each_family
def test_a_family_is_complete(family: Family):
    able = [variant for variant in family.variants if variant.tools or variant.thinks]
    for variant in family.variants:
        if variant.renderer:
            assert (EXPECTED / f"{SAME_PROMPT.get(variant.name, variant.name)}.txt").exists()
    if not able:
        assert family.format.special == frozenset()
        return
    assert family.evidence
    assert {one.family for one in written.WRITTEN} & {variant.name for variant in family.variants}
    if any(variant.thinks for variant in able):
        assert family.format.reasoning
    constrained = Exchange(family, "", USER, tools=TOOLS, required=True).grammar() is not None
    assert constrained == (family.variants[0].name not in UNCONSTRAINED)


@each_family
def test_each_piece_of_evidence_shows_its_family(family: Family):
    for evidence in family.evidence:
        assert family_of("", " … ".join(evidence.texts), "") is family
    for architecture in family.architectures:
        assert family_of("", "", architecture) is family


def test_an_unknown_parser_claims_nothing():
    assert family_named("nimbus") is None
    assert family_of("nimbus", "", "").variants == ()


def example() -> tuple[Family, written.Written]:
    """The family on the page, and the row of its test."""
    file, _, row = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    scope: dict[str, Any] = {}
    exec(file, scope)
    return scope["FAMILY"], eval(row, dict(vars(written)))


def test_the_pages_example_reads_and_constrains_its_calls():
    family, row = example()
    assert row.family == family.variants[0].name
    exchange = Exchange(family, "", USER, tools=WRITTEN_TOOLS, think=True)
    assert row.think
    text = "Hm.".join(row.think) + row.calls([NOW, FORECAST])
    parser = exchange.parser()
    parts = [part for letter in text for part in parser.feed(letter)] + parser.finish()
    assert "".join(part.text for part in parts if isinstance(part, Thought)) == "Hm."
    assert [part for part in parts if isinstance(part, Called)] == [Called(*NOW), Called(*FORECAST)]
    grammar = exchange.grammar()
    assert grammar
    for control in ((), exchange.visible):
        assert admitted(grammar, row.calls([NOW]), control)
        assert not admitted(grammar, row.broken, control)
