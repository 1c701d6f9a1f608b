"""The tables of a dialect's page: what it says of each field, block or tool."""

from __future__ import annotations

import re

from tests.conftest import REPOSITORY

_ROW = re.compile(r"^\| `(\w+)` \| (supported|ignored|refused) \|", re.MULTILINE)


def table(page: str, title: str) -> dict[str, str]:
    """What the section `title` of docs/`page`.md says of each name: supported, ignored or refused."""
    text = (REPOSITORY / "docs" / f"{page}.md").read_text(encoding="utf-8")
    section = re.search(rf"^## {re.escape(title)}$(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    assert section
    return dict(_ROW.findall(section[1]))


def named(page: str, title: str, kind: str) -> set[str]:
    """The names of which the section says `kind`."""
    return {name for name, said in table(page, title).items() if said == kind}
