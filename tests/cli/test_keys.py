"""`puna keys`, and the key that the command line sends, against a real server."""

from __future__ import annotations

import os
import subprocess
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from puna.access import Key, read_keys
from puna.cli.agents import AGENTS
from tests.running import run_puna, serving


def puna(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run_puna(*words, env=os.environ | environment)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def made(path: Path, *words: str) -> Key:
    ended = puna("keys", "create", "ann", *words, PUNA_KEYS=str(path))
    assert ended.returncode == 0, ended.stderr
    (key,) = read_keys(path)
    assert key.matches(ended.stdout.removesuffix("\n"))
    assert ended.stdout.strip() not in ended.stderr
    return key


def test_a_key_is_printed_alone_so_that_a_shell_can_take_it(path: Path):
    key = made(path)
    assert (key.name, key.scopes, key.models, key.expires) == ("ann", ("infer",), (), None)


def test_every_limit_can_be_given(path: Path):
    before = datetime.now(timezone.utc)
    key = made(
        path,
        *("--scope", "infer", "--scope", "manage", "--model", "qwen3:*", "--model", "all-minilm"),
        *("--expires", "30d", "--requests-per-minute", "20", "--tokens-per-day", "1000"),
        *("--concurrent", "2", "--share", "team"),
    )
    assert key.scopes == ("infer", "manage")
    assert key.models == ("qwen3:*", "all-minilm")
    assert (key.requests_per_minute, key.tokens_per_day, key.concurrent, key.share) == (20, 1000, 2, "team")
    assert key.expires is not None
    assert timedelta(0) <= key.expires - before - timedelta(days=30) < timedelta(minutes=1)
    listed = puna("keys", "list", PUNA_KEYS=str(path)).stdout
    for told in ("ann", key.id, "infer,manage", "qwen3:*", "20 requests", "0 of 1000 tokens", "Never"):
        assert told in listed


def test_names_of_wide_characters_stay_in_their_column(path: Path):
    ids = [puna("keys", "create", name, PUNA_KEYS=str(path)).stdout.split("_")[1] for name in ("李雷", "an")]
    head, *rows = puna("keys", "list", PUNA_KEYS=str(path)).stdout.splitlines()
    assert [row[: row.index(id)] for row, id in zip(rows, ids, strict=True)] == ["李雷    ", "an      "]
    assert head.startswith("NAME    ID")


@pytest.mark.parametrize(
    ("written", "expected"),
    [("2030-01-31", 2030), ("2030-01-31T12:00:00Z", 2030), ("2030-01-31T12:00:00+08:00", 2030)],
)
def test_an_end_may_be_a_date(path: Path, written: str, expected: int):
    key = made(path, "--expires", written)
    assert key.expires is not None
    assert key.expires.year == expected


@pytest.mark.parametrize(
    "words",
    [
        ("--scope", "root"),
        ("--expires", "soon"),
        ("--expires", "99999999999d"),
        ("--expires", "5"),
        ("--model", "no model!"),
        ("--requests-per-minute", "-1"),
        ("--concurrent", "many"),
    ],
)
def test_what_a_key_cannot_have_is_refused_and_nothing_is_written(path: Path, words: tuple[str, ...]):
    ended = puna("keys", "create", "ann", *words, PUNA_KEYS=str(path))
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert words[1] in ended.stderr or words[0] in ended.stderr
    assert not path.exists()


def test_keys_are_revoked_by_name_and_by_id(path: Path):
    key = made(path)
    assert puna("keys", "create", "ann", PUNA_KEYS=str(path)).returncode == 1
    assert puna("keys", "create", "bob", PUNA_KEYS=str(path)).returncode == 0
    assert puna("keys", "revoke", key.id, "bob", PUNA_KEYS=str(path)).returncode == 0
    assert read_keys(path) == []
    missing = puna("keys", "revoke", "bob", PUNA_KEYS=str(path))
    assert missing.returncode == 1
    assert "bob" in missing.stderr


def test_the_command_line_shows_the_key_of_its_environment(tmp_path: Path):
    with serving(tmp_path / "models") as server:
        environment = server.environment()
        assert puna("list", **environment).returncode == 0
        secret = puna("keys", "create", "me", "--scope", "infer", **environment).stdout.strip()
        shut = puna("list", **environment)
        assert shut.returncode == 1
        assert "OLLAMA_API_KEY" in shut.stderr
        assert puna("list", **environment, OLLAMA_API_KEY=secret).returncode == 0
        assert puna("ps", **environment, OLLAMA_API_KEY=secret).returncode == 0
        removed = puna("rm", "nothing", **environment, OLLAMA_API_KEY=secret)
        assert removed.returncode == 1
        assert "manage" in removed.stderr
        assert puna("--version", **environment).stdout.startswith("puna version is")
    listed = puna("keys", "list", **environment).stdout.splitlines()[1]
    assert listed.endswith("ago")


@pytest.mark.parametrize("agent", AGENTS)
def test_every_agent_is_given_the_key(agent: str):
    setup = AGENTS[agent].setup("http://box:1", "puna_secret", "qwen3", 1000)
    told = [*setup.environment.values(), *setup.arguments]
    # Codex reads it from the variable that the person has set.
    assert any("puna_secret" in word or "OLLAMA_API_KEY" in word for word in told)
    assert not any("puna_secret" in word for word in setup.arguments), "other users see a command's words"
