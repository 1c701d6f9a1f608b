"""The interactive session of `puna run`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from puna.cli.answer import AnswerPrinter, spinner
from puna.cli.attachments import find_files, take_files
from puna.cli.connection import CommandFailed, ModelMissing, client_errors
from puna.cli.guide import SHOW, guide
from puna.cli.multiline import Multiline, PromptEntry
from puna.cli.timing import summary
from puna.cli.wrap import printable

if TYPE_CHECKING:
    from puna.cli.client import Client
    from puna.cli.prompt import LinePrompt
    from puna.cli.session import Session, ThinkOption
    from puna.settings import Settings


class Conversation:
    """An interactive session with a model."""

    def __init__(self, client: Client, session: Session, settings: Settings) -> None:
        self._client = client
        self._session = session
        self._settings = settings

    def run(self) -> None:
        """Load the model, then read entries until the user leaves."""
        from puna.cli.prompt import LineHistory, LinePrompt

        self._load(self._session.model, self._session.think)
        self._print_examples()
        history = LineHistory(Path.home() / ".ollama" / "history")
        prompt, entries = LinePrompt(history, self._settings.editor), Multiline()
        staying = True
        while staying:
            history.enabled = self._session.history
            try:
                staying = self._turn(prompt, entries)
            except KeyboardInterrupt:
                print()

    def _turn(self, prompt: LinePrompt, entries: Multiline) -> bool:
        """Read a line, and process the entry that it completes. False if the user leaves."""
        try:
            line = prompt.read(more=entries.open is not None)
        except EOFError:
            return False
        except KeyboardInterrupt:
            entries.reset()
            if not prompt.current_text:
                print("Use Ctrl + d or /bye to exit.")
            return True
        entry = entries.feed(line)
        if entry is None or not entry.text.strip():
            return True
        if entry.kind == "line" and entry.text.split()[0] in ("/bye", "/exit"):
            return False
        try:
            # A failed request does not end the session.
            with client_errors(self._settings):
                self._process(entry)
        except CommandFailed as failure:
            print(f"error: {printable(str(failure))}", file=sys.stderr)
        return True

    def _process(self, entry: PromptEntry) -> None:
        if entry.kind == "system":
            print(self._session.set_system(entry.text))
        elif entry.kind == "line" and entry.text.startswith("/") and not self._begins_with_file(entry.text):
            self._run_command(entry.text)
        else:
            self._ask(entry.text)

    def _begins_with_file(self, text: str) -> bool:
        return self._session.takes_files and any(file.start == 0 for file in find_files(text))

    def _ask(self, text: str) -> None:
        """Send a message and print the answer; an interrupted answer stays in the history."""
        session = self._session
        message: dict[str, Any] = {"role": "user", "content": text}
        if session.takes_files:
            message["content"], message["images"] = take_files(text)
        answer = AnswerPrinter(wrap=session.wrap, hide_thinking=session.hide_thinking)
        try:
            last = answer.show(
                self._client.chat(
                    session.model,
                    [*session.messages, message],
                    think=session.think,
                    format=session.format,
                    options=session.options or None,
                    keep_alive=session.keep_alive,
                    stream=True,
                ),
                lambda reply: (reply.message.thinking, reply.message.content),
            )
        finally:
            if answer.text:
                reply = {"role": "assistant", "content": answer.text, "thinking": answer.thinking}
                session.messages += [message, {name: value for name, value in reply.items() if value}]
        print("\n")
        if session.verbose and last is not None:
            print(summary(last), file=sys.stderr)

    def _run_command(self, line: str) -> None:
        """Run a slash command."""
        session = self._session
        command, *words = line.split()
        reply = f"Unknown command '{command}'. Type /? for help"
        if session.takes_files and Path(command).suffix:
            reply = f"Couldn't find file '{command}'"
        if command == "/set":
            reply = session.set(line)
        elif command == "/show":
            reply = session.show(words[0], lambda: self._client.details(session.model)) if words else SHOW
        elif command == "/list":
            from puna.cli.models import models_table

            reply = models_table(self._client, words[0] if words else "")
        elif command == "/load":
            reply = self._change_model(words[0]) if len(words) == 1 else "Usage:\n  /load <modelname>"
        elif command == "/save":
            reply = self._save(words[0]) if len(words) == 1 else "Usage:\n  /save <modelname>"
        elif command == "/clear":
            session.clear()
            reply = "Cleared session context"
        elif command in ("/?", "/help"):
            reply = guide(words[0] if words else "", vision=session.has_vision, audio=session.has_audio)
        if reply:
            print(printable(reply))

    def _change_model(self, model: str) -> str:
        session = self._session
        print(f"Loading model '{model}'")
        try:
            with client_errors(self._settings):
                details = self._client.details(model)
                self._load(model, session.think if session.think_chosen else None)
        except ModelMissing:
            return f"Couldn't find model '{model}'"
        session.use_model(model, details)
        session.clear()
        return ""

    def _save(self, name: str) -> str:
        try:
            with client_errors(self._settings), spinner():
                for _ in self._client.create_model(self._session.create_request(name)):
                    pass
        except CommandFailed as failure:
            if "invalid model name" not in str(failure):
                raise
            return f"error: The model name '{name}' is invalid"
        return f"Created new model '{name}'"

    def _print_examples(self) -> None:
        """Print the model's own messages."""
        for message in self._session.examples:
            text = message.get("content") or ""
            if message["role"] == "user":
                print(f">>> {printable(text)}")
            elif message["role"] == "assistant":
                AnswerPrinter(wrap=self._session.wrap).write(text)
                print("\n")

    def _load(self, model: str, think: ThinkOption) -> None:
        with spinner():
            self._client.generate(model, keep_alive=self._session.keep_alive, think=think)
