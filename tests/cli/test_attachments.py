"""Which words of a prompt are pictures and sounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.cli.attachments import find_files, take_files
from puna.cli.connection import CommandFailed

JPEG = b"\xff\xd8\xff\xe0 not looked into"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("a.png", "B.JPG", "my cat.jpeg", "it's (1).webp", "图.gif", "sub/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(JPEG)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "wanted", "left"),
    [
        ("see ./a.png please", ["a.png"], "see  please"),
        ("./a.png", ["a.png"], ""),
        ("{}/a.png and {}/B.JPG?", ["{}/a.png", "{}/B.JPG"], "and ?"),
        ("'{}/my cat.jpeg' what?", ["{}/my cat.jpeg"], "what?"),
        ('"{}/my cat.jpeg"', ["{}/my cat.jpeg"], ""),
        ("{}/my\\ cat.jpeg what?", ["{}/my cat.jpeg"], "what?"),
        ("{}/my cat.jpeg what?", ["{}/my cat.jpeg"], "what?"),
        ("{}/it\\'s\\ \\(1\\).webp", ["{}/it's (1).webp"], ""),
        ("file://{}/my%20cat.jpeg", ["{}/my cat.jpeg"], ""),
        ("~/a.png", ["{}/a.png"], ""),
        ("sub/x.png ../nothing.png", [], None),
        ("图里有什么？./图.gif", ["图.gif"], "图里有什么？"),
        ("in /no/such.png but ./a.png", ["a.png"], "in /no/such.png but"),
        ("see ./a.pngx, ./sub.png, a.png, https://example.com/a.png", [], None),
        ("and/or ./sub", [], None),
        ("", [], None),
    ],
)
def test_forms(folder: Path, text: str, wanted: list[str], left: str | None):
    text = text.replace("{}", str(folder))
    assert [str(found.path) for found in find_files(text)] == [w.replace("{}", str(folder)) for w in wanted]
    remaining, pictures = take_files(text)
    assert remaining == (text if left is None else left)
    assert pictures == [JPEG] * len(wanted)


def test_what_is_there_and_cannot_be_used(folder: Path, capsys: pytest.CaptureFixture[str]):
    (folder / "text.png").write_text("hello")
    with pytest.raises(
        CommandFailed, match=r"'text.png': neither JPEG, PNG, WebP or GIF nor WAV, MP3 or FLAC"
    ):
        take_files("./a.png ./text.png")
    with (folder / "huge.png").open("wb") as huge:
        huge.truncate((100 << 20) + 1)
    with pytest.raises(CommandFailed, match=r"'huge.png': it is larger than 100 MB"):
        take_files("./huge.png")
    assert capsys.readouterr().err == ""


def test_a_sound_is_taken_as_a_picture_is(folder: Path, capsys: pytest.CaptureFixture[str]):
    for name, content in (("a talk.wav", b"RIFF....WAVEfmt "), ("b.MP3", b"\xff\xfb"), ("c.flac", b"fLaC")):
        (folder / name).write_bytes(content)
    left, files = take_files("What is said in './a talk.wav', ./b.MP3, ./c.flac and ./a.png?")
    assert (left, files) == ("What is said in , ,  and ?", [b"RIFF....WAVEfmt ", b"\xff\xfb", b"fLaC", JPEG])
    said = "Added audio 'a talk.wav'\nAdded audio 'b.MP3'\nAdded audio 'c.flac'\nAdded image 'a.png'\n"
    assert capsys.readouterr().err == said


def test_a_long_prompt_is_not_searched_for_ever():
    """Each of its slashes could begin a path that ends at each of its endings."""
    assert find_files("/x.png" * 20_000) == []


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([*"./~ab \\'\"\n:%", ".png", "./a.png"]), max_size=40).map("".join))
def test_any_text_is_read_and_nothing_but_names_goes(folder: Path, text: str):
    left = text
    for found in reversed(find_files(text)):
        assert found.path.is_file()
        left = left[: found.start] + left[found.end :]
    assert take_files(text)[0] == (left.strip() if left != text else text)
