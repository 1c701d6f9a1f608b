"""Somebody at a terminal, and a model that repeats what it is told."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from typing import Any

import pexpect

CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\r|\x07")
LAST = {
    "model": "m",
    "message": {"role": "assistant", "content": ""},
    "done": True,
    "eval_count": 2,
    "eval_duration": 10**9,
}


def said(text: str) -> list[dict[str, Any]]:
    return [
        {"model": "m", "message": {"role": "assistant", "content": word}, "done": False}
        for word in re.findall(r"\S+\s*", text)
    ]


def answer(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Repeats what was said last; goes on for ever when asked to."""
    last = body["messages"][-1]["content"]
    yield from said(f"You said {last}")
    while last == "go on":
        time.sleep(0.01)
        yield from said("and ")
    yield LAST


class Person:
    """Types at a terminal of 60 columns and reads what is on it."""

    def __init__(self, environment: dict[str, str], *words: str, model: str = "m") -> None:
        self.terminal: pexpect.spawn[str] = pexpect.spawn(
            sys.executable,
            ["-m", "puna", "run", model, *words],
            env=environment | {"TERM": "xterm-256color", "PYTHONUNBUFFERED": "1"},  # type: ignore[arg-type]
            dimensions=(24, 60),
            encoding="utf-8",
            timeout=60,
        )
        self.terminal.delaybeforesend = None

    def sees(self, text: str) -> str:
        """Wait until `text` is written; what was written before it, without control sequences."""
        self.terminal.expect_exact(text)
        return CONTROL.sub("", self.terminal.before or "")

    def types(self, line: str) -> None:
        self.terminal.send(line + "\r")

    def says_bye(self) -> None:
        """End the session, which ends well."""
        self.asks("/bye", "/bye")
        assert self.leaves() == 0

    def sees_prompt(self) -> None:
        """Wait for a new prompt: an old one that is drawn again does not switch bracketed paste on."""
        self.terminal.expect(r"\x1b\[\?2004h[^\n]*>>> ")

    def asks(self, line: str, until: str) -> str:
        """Type a line at the prompt and read to `until`."""
        self.sees_prompt()
        self.types(line)
        return self.sees(until)

    def leaves(self) -> int | None:
        self.terminal.expect(pexpect.EOF)
        self.terminal.close()
        return self.terminal.exitstatus
