"""The interactive session, driven through a terminal as a person would."""

from __future__ import annotations

import base64
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.cli.conftest import Recorded, Refusal

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
            timeout=20,
        )
        self.terminal.delaybeforesend = None

    def sees(self, text: str) -> str:
        """Wait until `text` is written; what was written before it, without control sequences."""
        self.terminal.expect_exact(text)
        return CONTROL.sub("", self.terminal.before or "")

    def types(self, line: str) -> None:
        self.terminal.send(line + "\r")

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


@pytest.fixture
def chatting(recorded: Recorded, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a server that repeats what it is told."""
    recorded.answers["/api/show"] = lambda _: {"capabilities": ["completion"], "template": "{{ .Prompt }}"}
    recorded.answers["/api/generate"] = lambda _: {"model": "m", "response": "", "done": True}
    recorded.answers["/api/chat"] = answer
    return environment


def test_a_conversation(chatting: dict[str, str], recorded: Recorded, home: Path):
    person = Person(chatting)
    person.asks("hello there", "You said hello there")
    person.asks('"""Two', "...")
    person.types('lines"""')
    person.sees("You said Two")
    person.sees("lines")
    person.asks("/set system Be brief.", "Set system message.")
    person.asks("again", "You said again")
    person.asks("/clear", "Cleared session context")
    person.asks("fresh", "You said fresh")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    contents = [[m["content"] for m in body["messages"]] for body in recorded.bodies("/api/chat")]
    first, second = "You said hello there", "You said Two\nlines"
    assert contents == [
        ["hello there"],
        ["hello there", first, "Two\nlines"],
        ["hello there", first, "Two\nlines", second, "Be brief.", "again"],
        ["Be brief.", "fresh"],
    ]
    history = (home / ".ollama" / "history").read_text().splitlines()
    assert history[:3] == ["hello there", '"""Two', 'lines"""']
    assert history[-1] == "/bye"


def test_ctrl_c_stops_the_answer_and_not_the_session(chatting: dict[str, str], recorded: Recorded):
    person = Person(chatting)
    person.asks("go on", "and and")
    person.terminal.sendintr()
    person.asks("what now", "You said what now")
    assert recorded.hung_up.wait(timeout=10)
    kept = [m["content"] for m in recorded.bodies("/api/chat")[1]["messages"]]
    assert kept[0] == "go on"
    assert kept[1].startswith("You said go on")
    assert kept[2:] == ["what now"]
    person.sees_prompt()
    person.terminal.send("half a line")
    person.sees("half a line")
    person.terminal.sendintr()
    person.sees_prompt()
    person.terminal.sendintr()
    person.sees("Use Ctrl + d or /bye to exit.")
    person.sees_prompt()
    person.terminal.sendeof()
    assert person.leaves() == 0
    assert len(recorded.bodies("/api/chat")) == 2


def test_history_comes_back_with_the_arrow_key(chatting: dict[str, str], home: Path):
    (home / ".ollama").mkdir()
    (home / ".ollama" / "history").write_text("from another day\n")
    person = Person(chatting)
    person.sees_prompt()
    person.terminal.send("\x1b[A")
    person.sees("from another day")
    person.types("")
    person.sees("You said from another day")
    person.asks("/set nohistory", "nohistory")
    person.asks("a secret", "You said a secret")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    assert "a secret" not in (home / ".ollama" / "history").read_text()


def test_lines_wrap_at_the_edge(chatting: dict[str, str]):
    person = Person(chatting)
    words = "one two three four five six seven eight nine ten eleven twelve thirteen"
    person.asks(words, "You said ")
    # The "e" that began the word at the edge is taken back.
    assert person.sees("thirteen").endswith("eight nine ten e\neleven twelve ")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0


def test_commands_in_the_session(chatting: dict[str, str], recorded: Recorded):
    person = Person(chatting)
    person.asks("/?", "/? shortcuts    Help for keyboard shortcuts")
    person.asks("/? shortcuts", "Clear the screen")
    person.asks("/nosuch thing", "Unknown command '/nosuch'. Type /? for help")
    person.asks("/set parameter temperature 0", "Set parameter 'temperature' to '0'")
    person.asks("/set format json", "Set format to 'json' mode.")
    person.asks("/set verbose", "Set 'verbose' mode.")
    person.asks("hi", "eval rate:            2.00 tokens/s")
    person.asks("/show template", "{{ .Prompt }}")
    person.asks("/show", "Show details for this model")
    person.asks("/load", "/load <modelname>")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    (asked,) = recorded.bodies("/api/chat")
    assert (asked["options"], asked["format"]) == ({"temperature": 0.0}, "json")


def test_another_model_is_loaded_or_the_old_one_stays(chatting: dict[str, str], recorded: Recorded):
    def load(body: dict[str, Any]) -> dict[str, Any]:
        if body["model"] == "nosuch":
            raise Refusal(404, "model 'nosuch' not found")
        return {"model": body["model"], "done": True}

    recorded.answers["/api/generate"] = load
    person = Person(chatting)
    person.asks("/load nosuch", "Couldn't find model 'nosuch'")
    person.asks("to the first", "You said to the first")
    person.asks("/load other", "Loading model 'other'")
    person.asks("to the second", "You said to the second")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    asked = [(body["model"], len(body["messages"])) for body in recorded.bodies("/api/chat")]
    assert asked == [("m", 1), ("other", 1)]


def test_a_failed_answer_does_not_end_the_session(chatting: dict[str, str], recorded: Recorded):
    def fails_once(body: dict[str, Any]) -> Any:
        if len(recorded.bodies("/api/chat")) == 1:
            raise Refusal(500, "engine ended")
        return answer(body)

    recorded.answers["/api/chat"] = fails_once
    person = Person(chatting)
    person.asks("hello", "error: engine ended")
    person.asks("again", "You said again")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    assert [len(body["messages"]) for body in recorded.bodies("/api/chat")] == [1, 1]


def test_one_shot_on_a_terminal_leaves_it_clean(chatting: dict[str, str], recorded: Recorded):
    def forever(_: object) -> Iterator[dict[str, Any]]:
        while True:
            time.sleep(0.01)
            yield {"model": "m", "response": "on ", "done": False}

    recorded.answers["/api/generate"] = forever
    person = Person(chatting, "go on")
    person.sees("on on")
    person.terminal.sendintr()
    assert person.leaves() == 130
    after = person.terminal.before or ""
    assert after.endswith("\r\n")
    assert "Traceback" not in after


def test_pull_draws_bars_on_a_terminal(chatting: dict[str, str], recorded: Recorded):
    digest = "sha256:74701a8c35f6c8d9"

    def show(_: object) -> dict[str, Any]:
        if not recorded.bodies("/api/pull"):
            raise Refusal(404, "model 'm' not found")
        return {"capabilities": ["completion"]}

    recorded.answers["/api/show"] = show
    recorded.answers["/api/generate"] = lambda _: [{"model": "m", "response": "Here.", "done": True}]
    recorded.answers["/api/pull"] = lambda _: [
        {"status": "pulling manifest"},
        {"status": "pulling 74701a8c35f6", "digest": digest, "total": 100, "completed": 100},
        {"status": "success"},
    ]
    person = Person(chatting, "hi")
    person.sees("pulling manifest")
    person.sees("pulling 74701a8c35f6: 100% ▕")
    person.sees("success")
    person.sees("Here.")
    assert person.leaves() == 0


def thoughts(*pieces: str) -> list[dict[str, Any]]:
    return [
        {"model": "m", "message": {"role": "assistant", "content": "", "thinking": piece}, "done": False}
        for piece in pieces
    ]


@pytest.fixture
def thinking(chatting: dict[str, str], recorded: Recorded) -> dict[str, str]:
    """A server whose model thinks unless told not to."""

    def answer_after_thought(body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        if body.get("think"):
            yield from thoughts("Let me ", "see.")
        if body["messages"][-1]["content"] == "go on":
            while True:
                time.sleep(0.01)
                yield from thoughts(" and")
        yield from answer(body)

    recorded.answers["/api/show"] = lambda _: {"capabilities": ["completion", "thinking"]}
    recorded.answers["/api/chat"] = answer_after_thought
    return chatting


def test_thinking_is_shown_as_ollama_shows_it(thinking: dict[str, str], recorded: Recorded):
    person = Person(thinking)
    person.asks("hello", "Thinking...")
    person.sees("You said hello")
    # Grey and bold are Ollama's, and nothing of them is left when the answer begins.
    shown = (person.terminal.before or "").replace("\r", "")
    assert shown.startswith(
        "\n\x1b[0m\x1b[38;5;245mLet me see.\n\x1b[38;5;245m\x1b[1m...done thinking.\n\n\x1b[0m"
    )
    person.asks("/set nothink", "Set 'nothink' mode.")
    assert "Thinking" not in person.asks("again", "You said again")
    person.asks("/set think high", "Set 'think' mode to 'high'.")
    person.asks("go on", "see. and and")
    person.terminal.sendintr()
    person.sees("\x1b[0m")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    asked = recorded.bodies("/api/chat")
    assert [body["think"] for body in asked] == [True, False, "high"]
    assert asked[1]["messages"][1] == {
        "role": "assistant",
        "content": "You said hello",
        "thinking": "Let me see.",
    }
    assert recorded.bodies("/api/generate")[0]["think"] is True


def test_hidden_thinking(thinking: dict[str, str]):
    person = Person(thinking, "--hidethinking")
    assert "Let me see" not in person.asks("hello", "You said hello")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0


def test_a_model_that_cannot_think(chatting: dict[str, str], recorded: Recorded):
    def refuses(body: dict[str, Any]) -> Any:
        if body.get("think"):
            raise Refusal(400, '"m" does not support thinking')
        return answer(body)

    recorded.answers["/api/chat"] = refuses
    person = Person(chatting)
    said = person.asks("/set think", "Set 'think' mode.")
    assert 'warning: model "m" does not support thinking output' in said
    person.asks("hello", 'error: "m" does not support thinking')
    person.asks("/set nothink", "Set 'nothink' mode.")
    person.asks("again", "You said again")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    assert [len(body["messages"]) for body in recorded.bodies("/api/chat")] == [1, 1]


PNG = b"\x89PNG\r\n\x1a\n not looked into"


def test_pictures(chatting: dict[str, str], recorded: Recorded, tmp_path: Path):
    picture = tmp_path / "my cat.png"
    picture.write_bytes(PNG)
    (tmp_path / "text.png").write_text("hello")
    recorded.answers["/api/show"] = lambda _: {"capabilities": ["completion", "vision"]}
    person = Person(chatting)
    person.asks("/?", "Use /path/to/file to include .jpg, .png, .webp or .gif images.")
    person.asks(f"What is it? '{picture}'", "Added image '")
    person.sees("You said What is it?")
    # Dropped onto the terminal, a path stands first and looks like a command.
    person.asks(str(picture).replace(" ", "\\ ") + " and?", "Added image '")
    person.sees("You said and?")
    person.asks(f"{tmp_path}/text.png", "not a JPEG, PNG, WebP or GIF image")
    person.asks("/nosuch.png here", "Unknown command '/nosuch.png'.")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    messages = recorded.bodies("/api/chat")[-1]["messages"]
    sent = base64.b64encode(PNG).decode()
    assert [(m["content"], m.get("images")) for m in messages] == [
        ("What is it?", [sent]),
        ("You said What is it?", None),
        ("and?", [sent]),
    ]


def test_pictures_are_text_to_a_model_that_cannot_see(
    chatting: dict[str, str], recorded: Recorded, tmp_path: Path
):
    (tmp_path / "cat.png").write_bytes(PNG)
    person = Person(chatting)
    person.asks(f"see {tmp_path}/cat.png", "You said see")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    (message,) = recorded.bodies("/api/chat")[0]["messages"]
    assert message == {"role": "user", "content": f"see {tmp_path}/cat.png"}


def test_a_models_own_conversation_is_shown_and_saved(chatting: dict[str, str], recorded: Recorded):
    examples = [{"role": "user", "content": "Is it blue?"}, {"role": "assistant", "content": "Indeed."}]
    recorded.answers["/api/show"] = lambda _: {"capabilities": ["completion"], "messages": examples}

    def create(body: dict[str, Any]) -> Any:
        if body["model"] == "not/a/real/name":
            return [{"error": "invalid model name"}]
        return [{"status": "success"}]

    recorded.answers["/api/create"] = create
    person = Person(chatting)
    person.sees(">>> Is it blue?")
    person.sees("Indeed.")
    person.asks("/set parameter seed 1", "Set parameter 'seed' to '1'")
    person.asks("hello", "You said hello")
    person.asks("/save not/a/real/name", "error: The model name 'not/a/real/name' is invalid")
    person.asks("/save", "/save <modelname>")
    person.asks("/save mine", "Created new model 'mine'")
    person.asks("/bye", "/bye")
    assert person.leaves() == 0
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "You said hello"}]
    assert recorded.bodies("/api/create")[-1] == {
        "model": "mine",
        "from": "m",
        "parameters": {"seed": 1},
        "messages": examples + said,
    }
    # The server puts the model's own messages before these.
    assert [m["content"] for m in recorded.bodies("/api/chat")[0]["messages"]] == ["hello"]
