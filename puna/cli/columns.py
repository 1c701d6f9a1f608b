"""Tables as Ollama prints them: columns left-aligned, four spaces apart, no rules."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

GAP = "    "


def columns(rows: Sequence[Sequence[str]]) -> str:
    """The rows as lines; a row may be shorter than the others."""
    from rich.cells import cell_len

    widths = [max(map(cell_len, cells)) for cells in zip_longest(*rows, fillvalue="")]
    padded = (
        [cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=False)]
        for row in rows
    )
    return "\n".join(GAP.join(cells).rstrip() for cells in padded)
