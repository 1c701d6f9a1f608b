"""The page: static files, and the libraries they stand on (pins.json, `python -m puna.web.vendor`).

`FILES` is every file that a browser may ask for, by its path; `PAGE` is the page itself, in which
`@VERSION@` stands for the folder that the files are asked for under, and `@MODULES@` for links to `FIRST`,
the modules that a browser would otherwise find only one after another.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["FILES", "FIRST", "PAGE"]

_HERE = Path(__file__).resolve().parent
PAGE = _HERE / "index.html"
FILES = {
    path.relative_to(_HERE).as_posix(): path
    for folder in ("app", "vendored")
    for path in sorted((_HERE / folder).rglob("*"))
    if path.suffix in (".js", ".css", ".svg", ".bcmap")
}
# What is loaded once it is needed: formulas, PDF files, digests.
_LATER = {"pdf.js", "pdf.worker.js", "temml.js", "sha256.js"}
FIRST = [name for name, path in FILES.items() if path.suffix == ".js" and path.name not in _LATER]
