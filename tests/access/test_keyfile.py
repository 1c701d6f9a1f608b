"""The files of the keys and of their use."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from puna.access import Keyring, KeyUsage, Unauthorized, add_key, new_key, read_keys, read_usage, remove_key
from puna.access.usage import add_usage, usage_path
from puna.errors import BadRequest, NotFound, PunaError

FILE = Path(__file__).with_name("keys-1.json")
"""Written by the first version that had keys; every later one must read it."""
NAMED = b'"id": "a", "name": "a", "hash": ""'
SECRET = "puna_0a1b2c3d_c2VjcmV0LW9mLWEta2V5LXRoYXQtb3BlbnMtbm90aGluZw"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "keys.json"


def test_keys_come_back_as_they_were(path: Path):
    ann, _ = new_key(
        "ann", scopes=["infer", "manage"], models=["qwen3:*"], requests_per_minute=3, share="team"
    )
    bob, _ = new_key("bob", expires="2030-01-02T03:04:05Z", tokens_per_day=9, concurrent=2)
    assert read_keys(path) == []
    add_key(path, ann)
    add_key(path, bob)
    assert read_keys(path) == [ann, bob]
    assert remove_key(path, "ann") == ann
    assert remove_key(path, bob.id) == bob
    assert read_keys(path) == []
    assert path.exists()


def test_only_the_owner_may_read_them(path: Path):
    add_key(path, new_key("ann")[0])
    add_key(path, new_key("bob")[0])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_is_taken_once(path: Path):
    add_key(path, new_key("ann")[0])
    with pytest.raises(BadRequest, match="ann"):
        add_key(path, new_key("ann")[0])
    with pytest.raises(NotFound, match="nobody"):
        remove_key(path, "nobody")


def test_keys_made_at_the_same_time_are_all_there(path: Path):
    make = (
        "import sys; from pathlib import Path; from puna.access import add_key, new_key; "
        "add_key(Path(sys.argv[1]), new_key(sys.argv[2])[0])"
    )
    makers = [subprocess.Popen([sys.executable, "-c", make, str(path), f"k{number}"]) for number in range(6)]
    assert [maker.wait(timeout=60) for maker in makers] == [0] * 6
    assert {key.name for key in read_keys(path)} == {f"k{number}" for number in range(6)}
    assert list(path.parent.glob("*-partial")) == []


def test_the_first_versions_file_is_read(path: Path):
    keys = {key.name: key for key in read_keys(FILE)}
    assert keys["ann"].matches(SECRET)
    assert keys["ann"].scopes == ("infer",)
    assert keys["ops"].models == ("qwen3:*", "all-minilm")
    assert (keys["ops"].requests_per_minute, keys["ops"].tokens_per_day, keys["ops"].concurrent) == (
        20,
        100_000,
        2,
    )
    assert keys["ops"].share == "team"
    assert keys["ops"].expires is not None


@pytest.mark.parametrize(
    "content",
    [
        b'{"format": 2, "keys": {"another": "shape"}}',
        b'{"format": 1, "keys": [], "more": 1}',
        b'{"format": 1, "keys": [{%s, "created": "2026-01-01T00:00:00Z", "limit": 1}]}' % NAMED,
        b'{"format": 1, "keys": [{%s, "created": "2026-01-01T00:00:00"}]}' % NAMED,
        b'{"keys": []}',
        b"[]",
        b"",
        b"\xff\xfe",
    ],
)
def test_what_cannot_be_understood_is_refused_and_left_alone(path: Path, content: bytes):
    path.parent.mkdir()
    path.write_bytes(content)
    for touch in (
        lambda: read_keys(path),
        lambda: Keyring(path),
        lambda: add_key(path, new_key("ann")[0]),
        lambda: remove_key(path, "ann"),
    ):
        with pytest.raises(PunaError, match=r"keys\.json"):
            touch()
    assert path.read_bytes() == content


def test_use_is_added_up_over_servers_and_forgotten_with_its_key(tmp_path: Path):
    path = tmp_path / "usage.json"
    add_usage(path, {"a": KeyUsage(100, 5, 10), "b": KeyUsage(1, 5, 1)}, {"a", "b"})
    after = add_usage(path, {"a": KeyUsage(90, 5, 7)}, {"a"})
    assert after == read_usage(path) == {"a": KeyUsage(100, 5, 17)}


def test_use_of_a_newer_version_is_left_alone(tmp_path: Path):
    path = tmp_path / "usage.json"
    path.write_text(json.dumps({"format": 9, "used": []}))
    before = path.read_bytes()
    with pytest.raises(PunaError, match="format 9"):
        add_usage(path, {"a": KeyUsage(1, 1, 1)}, {"a"})
    assert path.read_bytes() == before


def test_a_running_server_follows_the_file(path: Path, caplog: pytest.LogCaptureFixture):
    ring = Keyring(path)
    assert not ring.requires_key
    key, secret = new_key("ann")
    add_key(path, key)
    assert ring.requires_key
    assert ring.find(secret) == key

    path.write_text("nonsense")
    assert ring.requires_key
    assert ring.find(secret) == key, "a slip of an editor locks everybody out"
    assert "keys.json" in caplog.text

    path.unlink()
    assert ring.requires_key, "a file that is gone opens the server"
    with pytest.raises(Unauthorized):
        ring.find(secret)


def test_revoking_the_last_key_does_not_open_the_server(path: Path):
    key, secret = new_key("ann")
    add_key(path, key)
    ring = Keyring(path)
    remove_key(path, "ann")
    assert ring.requires_key
    with pytest.raises(Unauthorized):
        ring.find(secret)
    assert Keyring(path).requires_key


def test_a_file_that_cannot_be_read_is_told(path: Path):
    path.mkdir(parents=True)
    with pytest.raises(PunaError, match="cannot read"):
        Keyring(path)


def test_what_is_no_key_of_ours_is_unknown(path: Path):
    key, secret = new_key("ann")
    add_key(path, key)
    ring = Keyring(path)
    for wrong in (
        "",
        "sk-1",
        "puna",
        "puna_",
        f"puna_{key.id}",
        f"puna_{key.id}_",
        secret[:-1],
        f"{secret}é",
    ):
        with pytest.raises(Unauthorized):
            ring.find(wrong)


def unsaved_use(path: Path) -> Keyring:
    """A server's keys, of which one has used 10 tokens."""
    key, secret = new_key("ann", tokens_per_day=25)
    add_key(path, key)
    ring = Keyring(path)
    with ring.admit(ring.find(secret)) as ann:
        ann.spend(10)
    return ring


def test_use_that_cannot_be_saved_counts_once_and_is_saved_later(path: Path):
    ring = unsaved_use(path)
    usage = usage_path(path)
    usage.mkdir()
    for _ in range(3):
        with pytest.raises(PunaError, match="cannot read"):
            asyncio.run(ring.save())
        assert ring.keys_and_usage()[0][1].tokens == 10
    usage.rmdir()
    asyncio.run(ring.save())
    assert [entry.tokens for entry in read_usage(usage).values()] == [10]
    assert ring.keys_and_usage()[0][1].tokens == 10


def test_keys_whose_lock_cannot_be_opened_are_told(path: Path):
    ring = unsaved_use(path)
    path.with_name(f"{usage_path(path).name}.lock").mkdir()
    path.with_name("keys.json.lock").unlink()
    path.with_name("keys.json.lock").mkdir()
    with pytest.raises(PunaError, match="cannot write to"):
        asyncio.run(ring.save())
    with pytest.raises(PunaError, match="cannot write to"):
        add_key(path, new_key("bob")[0])
