"""Pictures and sounds named in a session."""

from __future__ import annotations

import base64
from pathlib import Path

from tests.cli.conftest import Recorded
from tests.cli.person import Person

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
    person.asks(f"{tmp_path}/text.png", "neither JPEG")
    person.asks("/nosuch.png here", "Couldn't find file '/nosuch.png'")
    person.asks("/nosuch here", "Unknown command '/nosuch'.")
    person.says_bye()
    messages = recorded.bodies("/api/chat")[-1]["messages"]
    sent = base64.b64encode(PNG).decode()
    assert [(m["content"], m.get("images")) for m in messages] == [
        ("What is it?", [sent]),
        ("You said What is it?", None),
        ("and?", [sent]),
    ]


def test_sounds(chatting: dict[str, str], recorded: Recorded, tmp_path: Path):
    (tmp_path / "talk.wav").write_bytes(b"RIFF....WAVEfmt ")
    recorded.answers["/api/show"] = lambda _: {"capabilities": ["completion", "audio"]}
    person = Person(chatting)
    person.asks("/?", "Use /path/to/file to include .wav, .mp3 or .flac audio files.")
    person.asks(f"{tmp_path}/talk.wav What is said?", "Added audio '")
    person.sees("You said What is said?")
    person.says_bye()
    (message,) = recorded.bodies("/api/chat")[0]["messages"]
    sent = base64.b64encode(b"RIFF....WAVEfmt ").decode()
    assert (message["content"], message["images"]) == ("What is said?", [sent])


def test_pictures_are_text_to_a_model_that_cannot_see(
    chatting: dict[str, str], recorded: Recorded, tmp_path: Path
):
    (tmp_path / "cat.png").write_bytes(PNG)
    person = Person(chatting)
    person.asks(f"see {tmp_path}/cat.png", "You said see")
    person.says_bye()
    (message,) = recorded.bodies("/api/chat")[0]["messages"]
    assert message == {"role": "user", "content": f"see {tmp_path}/cat.png"}
