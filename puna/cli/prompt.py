"""The input line: editing keys, and a history shared with Ollama (~/.ollama/history)."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.styles import Style

from puna.cli.streams import replace_surrogates

LIMIT = 100
"""Maximum lines kept, as in Ollama."""


class LineHistory(History):
    """A history file with one entry a line, oldest first (Ollama readline/history.go)."""

    def __init__(self, path: Path, *, enabled: bool = True) -> None:
        super().__init__()
        self.enabled = enabled
        self._path = path

    def load_history_strings(self) -> Iterable[str]:
        """The entries, newest first."""
        return reversed(self._entries())

    def store_string(self, string: str) -> None:
        if not self.enabled or not string.strip():
            return
        # Replaced atomically, so that a concurrent reader never sees half a file.
        lines = [*self._entries(), " ".join(string.split("\n"))][-LIMIT:]
        unfinished = self._path.with_name(self._path.name + ".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write("".join(f"{line}\n" for line in lines).encode(errors="replace"))
            unfinished.replace(self._path)
        except OSError:
            self.enabled = False  # A read-only home must not end the session.

    def _entries(self) -> list[str]:
        try:
            text = self._path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return []
        return [line.strip() for line in text.split("\n") if line.strip()]


class LinePrompt:
    """Asks for lines on the terminal."""

    def __init__(self, history: LineHistory, editor: str = "") -> None:
        """`editor`: the command to edit a prompt; "" for VISUAL or EDITOR."""
        if editor:
            os.environ["VISUAL"] = editor
        # Only menus need the cursor's position; the terminal's reply could end up in the input.
        os.environ.setdefault("PROMPT_TOOLKIT_NO_CPR", "1")
        keys = KeyBindings()

        @keys.add("c-g")
        def _(event: KeyPressEvent) -> None:
            event.current_buffer.open_in_editor()

        self._session: PromptSession[str] = PromptSession(
            history=history,
            key_bindings=keys,
            style=Style.from_dict({"placeholder": "ansibrightblack"}),
            enable_suspend=True,
        )

    def read(self, *, more: bool) -> str:
        """A line; `more` if it continues a message. Ctrl-D raises EOFError, Ctrl-C KeyboardInterrupt."""
        hint = "" if more else "Send a message (/? for help)"
        line = self._session.prompt("... " if more else ">>> ", placeholder=[("class:placeholder", hint)])
        return replace_surrogates(line.rstrip("\n"))

    @property
    def current_text(self) -> str:
        """The text of an abandoned line."""
        return self._session.default_buffer.text
