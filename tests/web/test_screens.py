"""The pictures of docs/page.md can be made anew, and the package holds the whole page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

from playwright.sync_api import Browser

from puna.web import FILES
from puna.web.vendor import VENDORED
from tests.conftest import REPOSITORY
from tests.web.screens import DOCS, LARGEST, shoot


def test_the_pictures_are_those_that_are_made_here(browser: Browser, tmp_path: Path):
    work, made = tmp_path / "work", tmp_path / "made"
    work.mkdir()
    made.mkdir()
    shoot(browser, work, made)
    names = {path.name for path in made.iterdir()}
    assert names == {path.name for path in DOCS.glob("page-*.png")}
    for path in [*made.iterdir(), *DOCS.glob("page-*.png")]:
        assert 10_000 < path.stat().st_size < LARGEST, path
    assert set(re.findall(r"\((page-[\w-]+\.png)\)", (DOCS / "page.md").read_text())) <= names


def test_the_package_holds_the_page_and_the_licences(tmp_path: Path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    # The hook compiles the kernels, which are not what this is about.
    environment = {**os.environ, "HATCH_BUILD_NO_HOOKS": "true"}
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(wheel).namelist())
    wanted = {f"puna/web/{name}" for name in FILES}
    wanted |= {f"puna/web/vendored/{path.name}" for path in VENDORED.glob("*.LICENSE")}
    assert wanted | {"puna/web/index.html", "puna/web/pins.json"} <= held
    assert not [name for name in held if "node_modules" in name or name.startswith("tests/")]
