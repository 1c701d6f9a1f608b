"""The command line against a real server: the one it starts itself, and one that is there."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from puna import __version__
from puna.cli.connection import is_local
from puna.settings import OLLAMA_LEVEL, Settings
from tests.cli.conftest import Ended
from tests.cli.person import Person
from tests.models import scripted_model
from tests.running import Server, run_puna

Puna = Callable[..., Ended]
Add = Callable[..., list[bytes]]


def test_every_command_on_a_real_server(
    server: Server, add_scripted: Add, puna: Puna, monkeypatch: pytest.MonkeyPatch
):
    add_scripted("smol", "The sky is blue.")
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    answered = puna("run", "--verbose", "smol", "Why?", stdin=b"The sky.")
    assert answered.out == "The sky is blue.\n\n"
    assert re.search(r"^eval count: +\d+ token\(s\)$", answered.err, re.MULTILINE)
    assert re.search(r"^total duration: +[\d.]+m?s$", answered.err, re.MULTILINE)

    assert puna("cp", "smol", "mine").out == "copied 'smol' to 'mine'\n"
    names = [line.split()[0] for line in puna("list").out.splitlines()]
    assert sorted(names) == ["NAME", "mine:latest", "smol:latest"]
    shown = puna("show", "mine").out
    assert shown.startswith("  Model\n    architecture        llama\n")
    assert "    completion\n" in shown

    running = puna("ps").out.splitlines()
    assert running[1].startswith("smol:latest")
    assert running[1].endswith("4 minutes from now")
    assert puna("stop", "smol").status == 0
    assert len(puna("ps").out.splitlines()) == 1

    assert puna("rm", "mine").out == "deleted 'mine'\n"
    gone = puna("show", "mine")
    assert (gone.status, gone.err) == (1, "Error: model 'mine:latest' not found\n")
    assert puna("--version").out == f"puna version is {__version__} (Ollama API {OLLAMA_LEVEL})\n"


def test_a_session_with_a_real_model(server: Server, add_scripted: Add, home: Path):
    add_scripted("m", "and on ", endless=True)
    person = Person(server.environment() | {"HOME": str(home)})
    person.asks("/set parameter num_predict -1", "Set parameter 'num_predict' to '-1'")
    person.asks("go", "on and on")
    person.terminal.sendintr()
    person.asks("/set parameter num_predict 4", "Set parameter 'num_predict' to '4'")
    person.asks("again", "on")
    person.says_bye()


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the person is in."""
    folder = tmp_path / "work shop"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_a_model_is_created_from_a_file_and_runs(
    server: Server, puna: Puna, workshop: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    scripted_model(workshop / "model.gguf", "It is made.")
    (workshop / "Modelfile").write_text(
        "FROM ./model.gguf\nPARAMETER num_predict 20\nSYSTEM Be kind.\nMESSAGE user hi\n"
        "MESSAGE assistant hello\nLICENSE MIT\n"
    )
    made = puna("create", "mine")
    assert (made.status, made.out) == (0, ""), made.err
    steps = made.err.splitlines()
    assert steps[0] == "gathering model components"
    assert re.fullmatch(r"copying file sha256:[0-9a-f]{64} 100%", steps[1])
    assert steps[2] == "parsing GGUF"
    assert steps[-2:] == ["writing manifest", "success"]
    assert puna("run", "mine", "go").out == "It is made.\n\n"
    assert puna("show", "--system", "mine").out == "Be kind."
    printed = puna("show", "--modelfile", "mine").out
    assert "PARAMETER num_predict 20\n" in printed
    # What show prints makes the same model: there is no layer that was not there.
    again = puna("create", "again", "-f", "-", stdin=printed.encode())
    assert again.err.count("\nusing existing layer ") == 5
    assert "creating new layer" not in again.err

    missing = puna("create", "bad", "-f", "-", stdin=b"FROM ./gone.gguf\n")
    assert (missing.status, missing.out) == (1, "")
    (workshop / "broken.gguf").write_bytes(b"GGUF, or so it says")
    broken = puna("create", "bad", "-f", "-", stdin=b"FROM ./broken.gguf\n")
    assert broken.status == 1
    assert "\nError: " in broken.err
    invalid = puna("create", "a b", "-f", "-", stdin=b"FROM mine\n")
    assert (invalid.status, invalid.err) == (1, "Error: invalid model name\n")
    assert "bad" not in puna("list").out


def test_a_file_on_the_same_machine_is_not_copied_through_the_network(
    server: Server, puna: Puna, workshop: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OLLAMA_HOST", server.url)
    scripted_model(workshop / "model.gguf", "Here.")

    def refuse(*_: object) -> None:
        raise AssertionError("the file was sent")

    monkeypatch.setattr("puna.cli.client.Client.send_blob", refuse)
    assert puna("create", "mine").status == 0
    assert puna("run", "mine", "go").out == "Here.\n\n"


def test_a_session_is_saved_and_taken_up_again(server: Server, add_scripted: Add, home: Path, puna: Puna):
    add_scripted("m", "Noted.")
    environment = server.environment() | {"HOME": str(home)}
    person = Person(environment)
    person.asks("/set system Be brief.", "Set system message.")
    person.asks("/set parameter num_predict 9", "Set parameter 'num_predict' to '9'")
    person.asks("remember the milk", "Noted.")
    person.asks("/save mine", "Created new model 'mine'")
    person.asks("/load mine", "Loading model 'mine'")
    person.asks("/show system", "Be brief.")
    person.says_bye()
    again = Person(environment, model="mine")
    again.sees(">>> remember the milk")
    again.sees("Noted.")
    again.asks("/show parameters", "num_predict")
    again.says_bye()


def run_hi(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return run_puna("run", "m", "hi", env=environment)


@pytest.fixture
def nobody(home: Path, store: Path) -> Iterator[dict[str, str]]:
    """The environment of a machine on which no server runs; one that is started there ends with the test."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "OLLAMA_HOST": f"127.0.0.1:{port}",
        "OLLAMA_MODELS": str(store),
        "HOME": str(home),
    }
    yield environment
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            serves = (process.info["cmdline"] or [])[-1:] == ["serve"]
            if serves and process.environ().get("OLLAMA_HOST") == environment["OLLAMA_HOST"]:
                process.terminate()
                process.wait(timeout=30)


def test_run_starts_a_server_that_outlives_it(nobody: dict[str, str], add_scripted: Add, home: Path):
    add_scripted("m", "Hello.")
    first = run_hi(nobody)
    assert first.stdout == "Hello.\n\n"
    log = home / ".ollama" / "logs" / "puna.log"
    beginning = f"puna: no server answered at http://{nobody['OLLAMA_HOST']}; started one "
    said = re.fullmatch(rf"{beginning}\(pid (\d+), log {log}\)\n", first.stderr)
    assert said
    assert os.getsid(int(said[1])) == int(said[1])
    second = run_hi(nobody)
    assert (second.stdout, second.stderr) == ("Hello.\n\n", "")
    assert "Listening on" in log.read_text()


def test_two_that_start_a_server_at_once_share_one(nobody: dict[str, str], add_scripted: Add):
    add_scripted("m", "Hello.")
    with ThreadPoolExecutor() as pool:
        both = list(pool.map(run_hi, [nobody, nobody]))
    assert [ended.stdout for ended in both] == ["Hello.\n\n"] * 2


def test_a_server_that_cannot_start_says_why(nobody: dict[str, str]):
    with socket.socket() as taken:
        host, _, port = nobody["OLLAMA_HOST"].partition(":")
        taken.bind((host, int(port)))  # Bound and not listening: nobody answers, nobody else can bind.
        ended = run_hi(nobody)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(
        f"Error: no server answers at http://{host}:{port}, and the one started ended:"
    )
    assert "address already in use" in ended.stderr


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("", True),
        ("0.0.0.0", True),
        ("localhost", True),
        ("[::1]:80", True),
        ("10.0.0.1", False),
        ("gpu.lan", False),
    ],
)
def test_only_this_machine_gets_a_server(host: str, local: bool):
    assert is_local(Settings.from_environment({"OLLAMA_HOST": host})) == local
