"""`puna launch`: each agent, unmodified, makes a file on a model that was scripted to ask for it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.actors import OTHERWISE, add_actor, call
from tests.running import Server, run_puna, serving

ROOT = Path(__file__).parents[2]
PROGRAMS = [Path(__file__).parent / "node_modules" / ".bin", ROOT / ".cache" / "aider" / "bin"]
DONE = "The file is there."
GREETING = "hello from the model"
SHELL = f"printf '{GREETING}' > made.txt"

# A token of this model is a byte, and an agent's instructions are 100,000 of them: it reads one turn only.
LAST_TURN = "<|im_start|>{{ messages[-1].role }}\n<tool_call>{{ tools | length if tools }}<|im_end|>\n"

# What each agent is given, and what the model then asks of it: its own tool for writing a file.
RUNS = {
    "claude": (
        ["-p", "make it with claude", "--allowedTools", "Write"],
        lambda file: call("Write", file_path=str(file), content=GREETING),
    ),
    "codex": (
        ["exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "make it with codex"],
        lambda file: call("exec_command", cmd=SHELL),
    ),
    "opencode": (
        ["run", "make it with opencode"],
        lambda file: call("write", filePath=str(file), content=GREETING),
    ),
    "qwen": (
        ["--yolo", "-p", "make it with qwen"],
        lambda file: call("write_file", file_path=str(file), content=GREETING),
    ),
    "aider": (
        [
            *("--yes-always", "--no-git", "--edit-format", "whole", "--no-check-update"),
            *("--analytics-disable", "--message", "make it with aider", "made.txt"),
        ],
        lambda file: f"made.txt\n```\n{GREETING}\n```\n",
    ),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the agents work in."""
    return tmp_path_factory.mktemp("place")


@pytest.fixture(scope="module")
def server(place: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    root = tmp_path_factory.mktemp("agents")
    answers = {f"make it with {name}": asks(place / "made.txt") for name, (_, asks) in RUNS.items()}
    add_actor(
        root / "models",
        root / "actor.gguf",
        "actor",
        answers | {OTHERWISE: DONE},
        turns=LAST_TURN,
        context_length=131_072,
    )
    with serving(root / "models") as running:
        yield running


def launch(server: Server, place: Path, *words: str, home: Path) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([*map(str, PROGRAMS), os.environ["PATH"]])
    # A home of its own: what agents keep of themselves must not meet what a person has.
    environment = server.environment() | {"PATH": path, "HOME": str(home), "PWD": str(place)}
    return run_puna("launch", *words, cwd=place, env=environment | {"PYTHONPATH": str(ROOT)}, timeout=300)


@pytest.mark.parametrize("agent", RUNS)
def test_an_agent_makes_a_file(agent: str, server: Server, place: Path, tmp_path: Path):
    made = place / "made.txt"
    made.unlink(missing_ok=True)
    words, _ = RUNS[agent]
    ended = launch(server, place, agent, "--", *words, home=tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert made.exists(), ended.stdout + ended.stderr
    assert made.read_text().strip() == GREETING
    if agent != "aider":  # it is done with the file and asks no more
        assert DONE in ended.stdout


def test_the_model_has_room_for_the_agent(server: Server, place: Path, tmp_path: Path):
    ended = launch(server, place, "claude", "--context", "50000", "--", "-p", "Hi.", home=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "50000 tokens" in ended.stderr
    listed = run_puna("ps", env=server.environment())
    assert "50000" in listed.stdout


def test_an_agents_failure_is_the_commands(server: Server, place: Path, tmp_path: Path):
    ended = launch(server, place, "claude", "--", "--no-such-flag", home=tmp_path)
    assert ended.returncode != 0
    assert "no-such-flag" in ended.stderr
