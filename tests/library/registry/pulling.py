"""Pulls, and what they leave on the way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from puna.library import Library, pull
from puna.library.registry import TransferLimits
from puna.types import Progress, Report
from tests.library.registry.conftest import DIGEST, LIMITS, MODEL


def pulled(
    library: Library,
    host: str,
    key: Path,
    name: str = MODEL,
    *,
    report: Report = lambda step: None,
    **limits: Any,
) -> list[Progress]:
    """The steps of a pull over HTTP, at `PACE` but for what is given; `report` hears of them too."""
    steps: list[Progress] = []

    def told(step: Progress) -> None:
        steps.append(step)
        report(step)

    settings = TransferLimits(**{**vars(LIMITS), **limits})
    pull(library, f"{host}/{name}", told, insecure=True, key=key, limits=settings)
    return steps


def partial(library: Library, suffix: str = "") -> Path:
    return library.blobs.partial(DIGEST, suffix)


def nothing_is_left(library: Library) -> bool:
    blobs = [path for path in (library.root / "blobs").glob("*") if "partial" in path.name]
    return not blobs and library.list() == []
