"""The files in deploy/: what programs of the system make of them, as far as those are here."""

from __future__ import annotations

import configparser
import plistlib
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from puna.cli.app import app
from puna.server.health import routes
from puna.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"
UNIT, PLIST, CONTAINER = DEPLOY / "puna.service", DEPLOY / "puna.server.plist", DEPLOY / "Containerfile"


def unit() -> configparser.ConfigParser:
    read = configparser.ConfigParser(strict=False, interpolation=None)
    read.optionxform = str  # pyright: ignore[reportAttributeAccessIssue]
    read.read_string(UNIT.read_text())
    return read


def plist() -> dict[str, Any]:
    return plistlib.loads(PLIST.read_bytes())


def commands() -> list[list[str]]:
    """What each starts, without the program's path."""
    container = dict(re.findall(r"^(ENTRYPOINT|CMD) (\[.*\])$", CONTAINER.read_text(), re.MULTILINE))
    return [
        shlex.split(unit()["Service"]["ExecStart"])[1:],
        plist()["ProgramArguments"][1:],
        re.findall(r'"([^"]+)"', container["CMD"]),
    ]


def test_each_starts_the_server():
    assert commands() == [["serve"]] * 3
    assert CliRunner().invoke(app, ["serve", "--help"]).exit_code == 0


def test_each_waits_longer_than_answers_may_take_to_end():
    for patience in (int(unit()["Service"]["TimeoutStopSec"]), plist()["ExitTimeOut"]):
        assert patience > Settings.drain + 5


@pytest.mark.parametrize("file", [UNIT, PLIST, CONTAINER], ids=lambda file: file.name)
def test_settings_in_them_are_settings(file: Path):
    manual = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:OLLAMA|PUNA)_[A-Z_]+\b", file.read_text()))
    assert named
    assert {name for name in named if f"`{name}`" not in manual} == set()


def test_the_container_is_asked_at_a_path_that_is_there():
    (path,) = re.findall(r"http://127\.0\.0\.1:11434(/\w+)", CONTAINER.read_text())
    assert path in {route.path for route in routes}


def test_the_unit_keeps_state_where_its_user_may_write():
    service = unit()["Service"]
    home = re.search(r"^Environment=HOME=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert home
    assert home[1] == f"/var/lib/{service['StateDirectory']}"
