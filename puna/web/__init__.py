"""The page: static files, and their libraries (pins.json, `python -m puna.web.vendor`).

`FILES` is every file that a browser may request, by its path; `PAGE` is the page itself. In it, `@VERSION@`
stands for the files' folder, and `@MODULES@` for links to `FIRST`, the modules that a browser would otherwise
discover one by one.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

__all__ = ["FILES", "FIRST", "PAGE"]

_HERE = Path(__file__).resolve().parent
_IMPORT = re.compile(r'^(?:import|export)\b[^;]*?\bfrom\s*"([^"]+)"', re.MULTILINE)
PAGE = _HERE / "index.html"
FILES = {
    path.relative_to(_HERE).as_posix(): path
    for folder in ("app", "vendored")
    for path in sorted((_HERE / folder).rglob("*"))
    if path.suffix in (".js", ".css", ".svg", ".bcmap")
}


def _imported(first: str) -> list[str]:
    """A module and all that it imports, directly or not, without modules that it loads later."""
    found = [first]
    for name in found:
        for target in _IMPORT.findall(FILES[name].read_text(encoding="utf-8")):
            place = (_HERE / PurePosixPath(name).parent / target).resolve().relative_to(_HERE).as_posix()
            if place not in found:
                found.append(place)
    return found


FIRST = _imported("app/app.js")
