"""`make bench`: measures the targets and prints them as a table.

Every row is a ratio (or a difference) of two things measured in turn in this run; a row is the median of
its rounds. Numbers in README.md come from here. `python -m benchmarks library` measures that part alone.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from benchmarks import (
    access,
    chat,
    dialects,
    drafts,
    drawing,
    inference,
    kernels,
    kv_types,
    library,
    memory,
    page,
    reliability,
)

PARTS = {
    "inference": inference.rows,
    "memory": memory.rows,
    "kv_types": kv_types.rows,
    "drafts": drafts.rows,
    "drawing": drawing.rows,
    "kernels": kernels.rows,
    "chat": chat.rows,
    "dialects": dialects.rows,
    "library": library.rows,
    "page": page.rows,
    "access": access.rows,
    "reliability": reliability.rows,
}

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "puna-cache"
"""An earlier run's evaluated prompts, which this run would find."""


def main() -> None:
    shutil.rmtree(CACHE, ignore_errors=True)
    print("| what | measured | target | met |\n| --- | --- | --- | --- |", flush=True)
    missed = False
    for part in sys.argv[1:] or PARTS:
        for row in PARTS[part]():
            print(row, flush=True)
            missed |= not row.met
    if missed:
        sys.exit("a target was not met")


if __name__ == "__main__":
    main()
