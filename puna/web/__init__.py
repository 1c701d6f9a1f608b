"""The page: static files, and the libraries they stand on (pins.json, `python -m puna.web.vendor`).

`FILES` is every file that a browser may ask for, by its path; `PAGE` is the page itself, in which
`@VERSION@` stands for the folder that the files are asked for under.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["FILES", "PAGE"]

_HERE = Path(__file__).resolve().parent
PAGE = _HERE / "index.html"
FILES = {
    path.relative_to(_HERE).as_posix(): path
    for folder in ("app", "vendored")
    for path in sorted((_HERE / folder).rglob("*"))
    if path.suffix in (".js", ".css", ".svg", ".bcmap")
}
