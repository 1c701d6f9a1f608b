"""Commands whose standard streams are closed, full, or read by nobody."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Recorded
from tests.cli.replies import DONE, SHOWN, STEPS, generated

COMMANDS = [
    ["run", "m", "hi"],
    ["run", "vectors", "hi"],
    ["list"],
    ["ps"],
    ["show", "m"],
    ["show", "--modelfile", "m"],
    ["pull", "m"],
    ["push", "m"],
    ["create", "mine", "-f", "Modelfile"],
    ["cp", "m", "n"],
    ["rm", "m"],
    ["stop", "m"],
    ["doctor"],
    ["help"],
    ["--version"],
    ["show", "missing"],
    ["nonsense"],
]


@pytest.fixture
def place(answering: Recorded, environment: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of a server that knows every command."""
    (tmp_path / "Modelfile").write_text("FROM m\n")
    listed = {"models": [{"name": f"m{number}", "model": f"m{number}"} for number in range(2000)]}
    shown = {**SHOWN, "license": "Apache\n" * 20_000, "modelfile": "FROM m\n" * 20_000}
    answering.answers |= {
        "/api/show": lambda body: (
            {**shown, "capabilities": ["embedding"]} if body["model"] == "vectors" else shown
        ),
        "/api/tags": lambda _: listed,
        "/api/ps": lambda _: listed,
        "/api/generate": lambda body: generated("The sky.") if body.get("prompt") else DONE,
        "/api/embed": lambda _: {"model": "m", "embeddings": [[0.25] * 20_000]},
        "/api/pull": lambda _: STEPS,
        "/api/push": lambda _: STEPS,
        "/api/create": lambda _: STEPS,
    }
    # As at a person's: what is printed waits for the end.
    environment = {name: value for name, value in environment.items() if name != "PYTHONUNBUFFERED"}
    return environment | {"OLLAMA_MODELS": str(tmp_path / "models")}


def ended(words: list[str], streams: str, place: dict[str, str], folder: Path) -> tuple[int, str]:
    """The status of `puna` behind which a shell has `streams`, and what it wrote to those that are left."""
    command = f"{shlex.join([sys.executable, '-m', 'puna', *words])} {streams}; exit ${{PIPESTATUS:-$?}}"
    done = subprocess.run(
        ["bash", "-c", command],
        env=place,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_closed_streams_are_no_failure(place: dict[str, str], tmp_path: Path, words: list[str]):
    status, told = ended(words, "", place, tmp_path)
    for streams in (">&-", "<&- >&- 2>&-"):
        closed, said = ended(words, streams, place, tmp_path)
        assert closed == status
        assert set(said.splitlines()) <= set(told.splitlines())


@pytest.mark.parametrize(
    ("words", "streams"),
    [
        *((words, "2>&1 | head -1") for words in COMMANDS),
        (["run", "m", "hi"], "| true"),
        (["list"], "| true"),
    ],
)
def test_a_pipe_that_nobody_reads_is_no_cause_for_words(
    place: dict[str, str], tmp_path: Path, words: list[str], streams: str
):
    status, said = ended(words, streams, place, tmp_path)
    assert status in (0, 1)
    for word in ("Traceback", "Exception", "roken pipe"):
        assert word not in said


@pytest.mark.parametrize("words", [["run", "m", "hi"], ["list"], ["show", "m"], ["help"]], ids=" ".join)
def test_a_full_disk_is_told(place: dict[str, str], tmp_path: Path, words: list[str]):
    assert ended(words, ">/dev/full", place, tmp_path) == (1, "Error: no space left on device\n")


def test_what_is_read_of_a_pipe_is_whole(place: dict[str, str], tmp_path: Path):
    _, said = ended(["show", "--modelfile", "m"], "| head -1", place, tmp_path)
    assert said == "FROM m\n"
