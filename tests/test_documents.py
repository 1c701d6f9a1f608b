"""The documents point at what is there, and both READMEs say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from puna.chat.families import FAMILIES

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])


def links(document: Path) -> list[str]:
    found = re.findall(r"\]\(([^)#]+)", document.read_text(encoding="utf-8"))
    return [link for link in found if "://" not in link]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path):
    assert [link for link in links(document) if not (document.parent / link).exists()] == []


def test_both_readmes_show_the_same_tests_and_examples():
    english, chinese = (
        (REPOSITORY / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")
    )
    for pattern in (r"\(tests/[^)]+\)", r"```(?:python|js)\n.*?```"):
        assert re.findall(pattern, english, re.DOTALL) == re.findall(pattern, chinese, re.DOTALL) != []


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_the_readme_counts_the_model_families(readme: str):
    count = sum(any(one.tools or one.thinks for one in family.variants) for family in FAMILIES)
    row = next(
        line
        for line in (REPOSITORY / readme).read_text(encoding="utf-8").splitlines()
        if "chat/parsing/test_families.py" in line
    )
    assert re.findall(r"\d+", row.partition("](")[0]) == [str(count)]
