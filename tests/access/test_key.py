"""What a key is, and what it lets in."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import get_args

import msgspec
import pytest

from puna.access import Scope, new_key
from puna.errors import BadRequest
from puna.library import Name

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def test_a_key_knows_its_secret_and_no_other():
    key, secret = new_key("ann")
    other, another = new_key("ann")
    assert key.matches(secret)
    assert other.matches(another)
    assert not key.matches(another)
    assert not any(
        key.matches(wrong) for wrong in ("", secret[:-1], secret + "x", secret.upper(), key.hash, "é😀")
    )


def test_what_is_kept_does_not_hold_the_secret():
    key, secret = new_key("ann")
    random = secret.split("_", 2)[2]
    assert len(random) >= 43
    assert random not in msgspec.json.encode(key).decode()


@pytest.mark.parametrize("scope", get_args(Scope))
def test_an_admin_may_do_everything(scope: Scope):
    assert new_key("ann", scopes=["admin"])[0].has(scope)
    assert new_key("ann", scopes=[scope])[0].has(scope)


def test_scopes_do_not_imply_one_another():
    infer, manage = (new_key("ann", scopes=[scope])[0] for scope in ("infer", "manage"))
    assert not infer.has("manage")
    assert not manage.has("infer")
    assert new_key("ann")[0].scopes == ("infer",)


@pytest.mark.parametrize(
    ("allowed", "model", "expected"),
    [
        ("qwen3", "qwen3:latest", True),
        ("qwen3", "qwen3", True),
        ("qwen3", "QWEN3:Latest", True),
        ("Qwen3:8B", "qwen3:8b", True),
        ("qwen3", "qwen3:8b", False),
        ("qwen3", "qwen3x", False),
        ("qwen3:*", "qwen3:8b", True),
        ("qwen3:*", "qwen3", True),
        ("qwen3:*", "qwen30:8b", False),
        ("qwen3:*", "someone/qwen3:8b", False),
        ("someone/*", "someone/qwen3:8b", True),
        ("someone/*", "someone-else/qwen3:8b", False),
        ("registry.ollama.ai/library/qwen3", "qwen3", True),
        ("qwen3", "registry.ollama.ai/library/qwen3:latest", True),
        ("qwen3", "hf.co/library/qwen3:latest", False),
        ("*", "hf.co/a/b:c", True),
    ],
)
def test_models_are_allowed_by_name_and_by_pattern(allowed: str, model: str, expected: bool):
    key, _ = new_key("ann", models=[allowed])
    assert key.allows(Name.parse(model)) is expected


def test_a_key_without_models_allows_all():
    assert new_key("ann")[0].allows(Name.parse("any/thing"))


def test_a_key_ends_at_its_moment():
    key, _ = new_key("ann", expires=NOW)
    assert key.expired(NOW)
    assert key.expired(NOW + timedelta(seconds=1))
    assert not key.expired(NOW - timedelta(seconds=1))
    assert not new_key("ann")[0].expired(NOW)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scopes": ["root"]},
        {"models": ["no model!"]},
        {"requests_per_minute": -1},
        {"tokens_per_day": "many"},
        {"expires": datetime(2026, 1, 2)},
        {"unknown": 1},
    ],
)
def test_what_a_key_cannot_have_is_refused(wrong: dict[str, object]):
    with pytest.raises(BadRequest):
        new_key("ann", **wrong)


@pytest.mark.parametrize("name", ["", "x" * 101, "two\nlines", "\x1b[31m", "\0"])
def test_a_name_can_be_shown_in_a_line(name: str):
    with pytest.raises(BadRequest):
        new_key(name)


def test_an_owner_is_the_key_or_its_group():
    ann, bob = (new_key(name, share="team")[0] for name in ("ann", "bob"))
    alone, other = (new_key(name)[0] for name in ("ann", "bob"))
    assert ann.owner == bob.owner
    assert len({ann.owner, alone.owner, other.owner}) == 3
    # A group cannot be named so that it is somebody's own.
    assert new_key("eve", share=f"key {alone.id}")[0].owner != alone.owner
