"""`puna` alone, `puna ui`, and what `puna launch` says when it cannot begin."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from tests.cli.conftest import Ended, Recorded
from tests.cli.person import CONTROL
from tests.cli.replies import SHOWN, STEPS

Puna = Callable[..., Ended]
DOWN, ENTER = "\x1b[B", "\r"


def sit_down(environment: dict[str, str]) -> pexpect.spawn:
    """Somebody types `puna` at a terminal."""
    terminal = pexpect.spawn(
        sys.executable,
        ["-m", "puna"],
        env=environment | {"TERM": "xterm-256color"},  # type: ignore[arg-type]
        dimensions=(30, 100),
        encoding="utf-8",
        timeout=60,
    )
    terminal.expect_exact("See all commands")
    return terminal


def ends(terminal: pexpect.spawn) -> tuple[int | None, str]:
    terminal.expect(pexpect.EOF)
    terminal.close()
    return terminal.exitstatus, CONTROL.sub("", terminal.before or "")


def models(recorded: Recorded, *names: str) -> None:
    recorded.answers["/api/tags"] = lambda _: {"models": [{"model": name} for name in names]}


def test_the_menu_talks_with_the_only_model(recorded: Recorded, chatting: dict[str, str]):
    models(recorded, "mine:latest")
    terminal = sit_down(chatting)
    terminal.send(ENTER)
    terminal.expect(r"\x1b\[\?2004h[^\n]*>>> ")
    terminal.send("good morning\r")
    terminal.expect_exact("You said good morning")
    terminal.expect(r"\x1b\[\?2004h[^\n]*>>> ")
    terminal.send("/bye\r")
    assert ends(terminal)[0] == 0
    assert recorded.bodies("/api/chat")[0]["model"] == "mine:latest"


def test_the_menu_asks_which_of_two_models(recorded: Recorded, chatting: dict[str, str]):
    models(recorded, "first:latest", "second:latest")
    terminal = sit_down(chatting)
    terminal.send(ENTER)
    terminal.expect_exact("second:latest")
    terminal.send(DOWN + ENTER)
    terminal.expect(r"\x1b\[\?2004h[^\n]*>>> ")
    terminal.send("/bye\r")
    assert ends(terminal)[0] == 0
    assert recorded.bodies("/api/generate")[0]["model"] == "second:latest"


def test_the_menu_pulls(recorded: Recorded, environment: dict[str, str]):
    recorded.answers["/api/pull"] = lambda _: STEPS
    terminal = sit_down(environment)
    terminal.send(DOWN * 2 + ENTER)
    terminal.expect_exact("Which model?")
    terminal.send("qwen3:0.6b\r")
    assert ends(terminal)[0] == 0
    assert recorded.bodies("/api/pull")[0]["model"] == "qwen3:0.6b"


def test_the_menu_shows_the_commands(environment: dict[str, str]):
    terminal = sit_down(environment)
    terminal.send(DOWN * 4 + ENTER)
    status, written = ends(terminal)
    assert status == 0
    assert "serve" in written


def test_ctrl_c_leaves_the_menu(environment: dict[str, str]):
    terminal = sit_down(environment)
    terminal.send("\x03")
    assert ends(terminal)[0] == 130


def test_piped_it_prints_help(puna: Puna):
    assert "Usage: puna" in puna().out


def test_ui_shows_the_page(puna: Puna, answering: Recorded, monkeypatch: pytest.MonkeyPatch):
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    assert puna("ui", "--no-browser").out == f"{answering.url}/ui\n"
    assert opened == []
    puna("ui")
    assert opened == [f"{answering.url}/ui"]


def test_launch_says_how_to_install(puna: Puna, answering: Recorded, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    ended = puna("launch", "codex")
    assert ended.status == 1
    assert "npm install -g @openai/codex" in ended.err
    assert "nobody" in puna("launch", "nobody").err


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program called `codex`, which prints its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "codex"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"; exit 7\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return program


def test_launch_without_a_model_that_calls_tools(puna: Puna, answering: Recorded, installed: Path):
    models(answering, "m:latest")
    ended = puna("launch", "codex")
    assert ended.status == 1
    assert "calls tools" in ended.err


def test_launch_asks_which_model_when_nobody_can_choose(puna: Puna, answering: Recorded, installed: Path):
    answering.answers["/api/show"] = lambda _: SHOWN | {"capabilities": ["completion", "tools"]}
    models(answering, "a:latest", "b:latest")
    ended = puna("launch", "codex")
    assert ended.status == 1
    assert "a:latest, b:latest" in ended.err


def test_launch_holds_no_more_context_than_the_model_has(puna: Puna, answering: Recorded, installed: Path):
    answering.answers["/api/show"] = lambda _: SHOWN | {"capabilities": ["completion", "tools"]}
    answering.answers["/api/generate"] = lambda _: {"model": "a:latest", "response": "", "done": True}
    models(answering, "a:latest")
    ended = puna("launch", "codex", "--context", "50000", "--", "exec", "--flag")
    assert ended.status == 7
    (asked,) = answering.bodies("/api/generate")
    assert (asked["model"], asked["options"]) == ("a:latest", {"num_ctx": 8192})
