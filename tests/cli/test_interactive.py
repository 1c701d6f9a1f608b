"""The interactive session, driven through a terminal as a person would."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tests.cli.conftest import Recorded, Refusal
from tests.cli.person import Person, answer


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
    person.says_bye()
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


def test_bytes_that_are_not_utf8_are_replaced(chatting: dict[str, str], recorded: Recorded):
    person = Person(chatting)
    person.sees_prompt()
    os.write(person.terminal.fileno(), b"gr\xfc\xdfe\r")
    person.sees("You said gr\ufffd\ufffde")
    person.says_bye()
    assert [m["content"] for m in recorded.bodies("/api/chat")[0]["messages"]] == ["gr\ufffd\ufffde"]


def test_ctrl_c_stops_the_answer_and_not_the_session(chatting: dict[str, str], recorded: Recorded):
    person = Person(chatting)
    person.asks("go on", "and and")
    person.terminal.sendintr()
    person.asks("what now", "You said what now")
    assert recorded.hung_up.wait(timeout=60)
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
    person.says_bye()
    assert "a secret" not in (home / ".ollama" / "history").read_text()


def test_lines_wrap_at_the_edge(chatting: dict[str, str]):
    person = Person(chatting)
    words = "one two three four five six seven eight nine ten eleven twelve thirteen"
    person.asks(words, "You said ")
    # The "e" that began the word at the edge is taken back.
    assert person.sees("thirteen").endswith("eight nine ten e\neleven twelve ")
    person.says_bye()


def test_commands_in_the_session(chatting: dict[str, str], recorded: Recorded):
    recorded.answers["/api/tags"] = lambda _: {
        "models": [
            {"model": "smollm2:135m", "digest": "9077fe9d2ae1", "size": 270_898_672},
            {"model": "other"},
        ]
    }
    person = Person(chatting)
    person.asks("/?", "/? shortcuts    Help for keyboard shortcuts")
    person.asks("/? shortcuts", "Clear the screen")
    person.asks("/nosuch thing", "Unknown command '/nosuch'. Type /? for help")
    person.asks("/set parameter temperature 0", "Set parameter 'temperature' to '0'")
    person.asks("/set format json", "Set format to 'json' mode.")
    person.asks("/set verbose", "Set 'verbose' mode.")
    person.asks("hi", "eval rate:            2.00 tokens/s")
    person.asks("/show template", "{{ .Prompt }}")
    person.asks("/list smol", "smollm2:135m    9077fe9d2ae1    270 MB    Never")
    person.asks("/show", "Show details for this model")
    person.asks("/load", "/load <modelname>")
    person.says_bye()
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
    person.says_bye()
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
    person.says_bye()
    assert [len(body["messages"]) for body in recorded.bodies("/api/chat")] == [1, 1]


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
    person.says_bye()
    said = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": "You said hello"}]
    assert recorded.bodies("/api/create")[-1] == {
        "model": "mine",
        "from": "m",
        "parameters": {"seed": 1},
        "messages": examples + said,
    }
    # The server puts the model's own messages before these.
    assert [m["content"] for m in recorded.bodies("/api/chat")[0]["messages"]] == ["hello"]
