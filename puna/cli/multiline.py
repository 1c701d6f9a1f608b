"""Joins typed lines into messages: three quotation marks open and close a message of several lines."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

QUOTES = '"""'
_OPENING = re.compile(r'(?P<system>/set\s+system\s+)?"""')


@dataclass(frozen=True)
class PromptEntry:
    """A complete entry. A "line" may be a command; a "message" never is; "system" is a system message."""

    kind: Literal["line", "message", "system"]
    text: str


class Multiline:
    """Joins lines into entries; `open` while the closing mark is missing."""

    def __init__(self) -> None:
        self.open: Literal["message", "system"] | None = None
        self._lines: list[str] = []

    def feed(self, line: str) -> PromptEntry | None:
        """The entry that `line` completes; None if more lines follow."""
        if self.open is None:
            opening = _OPENING.match(line)
            if opening is None:
                # Several pasted lines are one message, even when they begin with a slash.
                return PromptEntry("message" if "\n" in line else "line", line)
            self.open = "system" if opening["system"] else "message"
            line = line[opening.end() :]
        self._lines.append(line.removesuffix(QUOTES))
        if not line.endswith(QUOTES):
            return None
        entry = PromptEntry(self.open, "\n".join(self._lines))
        self.reset()
        return entry

    def reset(self) -> None:
        """Forget an incomplete entry."""
        self.open = None
        self._lines.clear()
