"""Tables as Ollama prints them: columns left-aligned, four spaces apart, no rules."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

GAP = "    "


def columns(rows: Sequence[Sequence[str]]) -> str:
    """The rows as lines; a row may be shorter than the others."""
    widths = [max(map(len, cells)) for cells in zip_longest(*rows, fillvalue="")]
    return "\n".join(
        GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip() for row in rows
    )
