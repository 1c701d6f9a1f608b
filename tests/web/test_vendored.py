"""The page's libraries are those that pins.json names, whole and with their licences."""

from __future__ import annotations

import json
import re

from puna.web import FILES
from puna.web.vendor import HERE, VENDORED, sums

_IMPORTED = re.compile(r'^\s*import\b[^;]*?from\s*"([^"]+)"', re.MULTILINE)
_LATER = re.compile(r'\bimport\("([^"]+)"\)')
PINS = json.loads((HERE / "pins.json").read_text())


def test_the_vendored_files_are_those_pinned_each_with_its_licence():
    pinned = {target for pin in PINS.values() for target in pin.get("files", {}).values()}
    pinned |= {name for name, pin in PINS.items() if "folder" in pin}
    found = {path.name for path in VENDORED.iterdir()}
    assert found == pinned | {f"{name}.LICENSE" for name in PINS} | {"SHA256SUMS"}
    for name, pin in PINS.items():
        assert re.fullmatch(r"@?[\w./-]+@\d+\.\d+\.\d+", pin["package"]), name
        assert (VENDORED / f"{name}.LICENSE").stat().st_size > 500, name


def test_the_vendored_files_are_as_they_were_fetched():
    assert (VENDORED / "SHA256SUMS").read_text() == sums()


def test_every_import_of_the_page_is_a_file_of_the_page():
    for path in (path for path in FILES.values() if path.suffix == ".js"):
        name, text = path.name, path.read_text()
        later = [] if path.parent == VENDORED else _LATER.findall(text)
        for wanted in _IMPORTED.findall(text) + later:
            target = (path.parent / wanted).resolve()
            assert wanted.startswith(("./", "../")), (name, wanted)
            assert target in FILES.values(), (name, wanted)
