"""Tokens: signed for with our key, given to the registry alone, renewed when they run out."""

from __future__ import annotations

import base64
import errno
import os
import threading
from pathlib import Path
from unittest import mock

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
from hypothesis import given
from hypothesis import strategies as st

from puna.errors import PunaError
from puna.library import AllowedHosts, Library, pull, push
from puna.library.registry import TransferLimits
from puna.library.registry.challenge import Challenge
from puna.library.registry.errors import RegistryRefused
from puna.library.registry.key import signature
from tests.gate import Gate
from tests.library.registry.conftest import LIMITS, MODEL, WEIGHTS, put
from tests.registries import Asked, Fault, Line, line


def fetch(library: Library, host: str, key: Path, *others: str) -> None:
    """`others` are hosts that the registry may send to."""
    allowed = AllowedHosts(("*", *others))
    pull(
        library, f"{host}/{MODEL}", lambda step: None, insecure=True, key=key, limits=LIMITS, allowed=allowed
    )


def weights(library: Library, host: str) -> bytes:
    return library.open(f"{host}/{MODEL}").weights.read_bytes()


def test_a_key_is_made_and_what_it_signs_opens_the_registry(way: Line, library: Library, key: Path):
    way.gate = Gate()
    fetch(library, way.host, key)
    assert weights(library, way.host) == WEIGHTS
    assert key.stat().st_mode & 0o777 == 0o600
    kind, public = key.with_name("id_ed25519.pub").read_text().split()
    assert (kind, way.gate.keys) == ("ssh-ed25519", [public])
    assert way.gate.scopes == [["repository:library/x:pull", "repository:library/y:pull"]]


def test_a_key_is_made_where_files_cannot_be_linked(key: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(os, "link", mock.Mock(side_effect=PermissionError(errno.EPERM, "not permitted")))
    made = signature(key, b"")
    assert signature(key, b"") == made
    assert key.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in key.parent.iterdir()} == {"id_ed25519", "id_ed25519.pub"}


def test_the_key_that_is_there_is_used(way: Line, library: Library, key: Path):
    signature(key, b"")
    before = key.read_bytes()
    way.gate = Gate()
    fetch(library, way.host, key)
    push(library, f"{way.host}/{MODEL}", lambda step: None, insecure=True, key=key, limits=LIMITS)
    assert key.read_bytes() == before
    assert len(set(way.gate.keys)) == 1


def test_a_token_that_runs_out_is_renewed_on_the_way(way: Line, library: Library, key: Path):
    way.gate = Gate(uses=2)
    alone = TransferLimits(
        **{**vars(LIMITS), "streams": 1}
    )  # a token that others use up is no token that runs out
    pull(library, f"{way.host}/{MODEL}", lambda step: None, insecure=True, key=key, limits=alone)
    assert weights(library, way.host) == WEIGHTS
    assert len(way.gate.keys) > 2


def test_a_push_renews_its_token_too(way: Line, library: Library, key: Path):
    way.gate = Gate(uses=3)
    put(library, f"{way.host}/me/gated", WEIGHTS + b"!")
    push(library, f"{way.host}/me/gated", lambda step: None, insecure=True, key=key, limits=LIMITS)
    assert len(way.gate.keys) > 2
    library.delete(f"{way.host}/me/gated")
    pull(library, f"{way.host}/me/gated", lambda step: None, insecure=True, key=key, limits=LIMITS)
    assert library.open(f"{way.host}/me/gated").weights.read_bytes() == WEIGHTS + b"!"


def test_a_token_that_opens_nothing_is_a_refusal(way: Line, library: Library, key: Path):
    way.gate = Gate(uses=0)
    with pytest.raises(PunaError, match=r"^pull model manifest: unauthorized: access denied$"):
        fetch(library, way.host, key)
    assert len(way.gate.keys) == 1


@pytest.mark.parametrize("realm", ["https://example.com/token", "http://127.0.0.1:1/token"])
def test_a_strange_realm_gets_no_signature(way: Line, library: Library, key: Path, realm: str):
    way.gate = Gate(realm=realm)
    host = realm.split("/")[2]
    with pytest.raises(PunaError, match=f'realm host "{host}" does not match original host "{way.host}"'):
        fetch(library, way.host, key)
    assert not key.exists()


def test_a_realm_is_as_private_as_its_registry():
    Challenge("https://host/token").check_realm("http://host")
    with pytest.raises(PunaError, match="not reached over https"):
        Challenge("http://host/token").check_realm("https://host")


@pytest.mark.parametrize("content", [b"", b"-----BEGIN OPENSSH PRIVATE KEY-----\nnonsense\n"])
def test_a_damaged_key_is_named_and_left_alone(way: Line, library: Library, key: Path, content: bytes):
    key.parent.mkdir(parents=True)
    key.write_bytes(content)
    way.gate = Gate()
    with pytest.raises(PunaError, match=f"cannot use the key {key}: "):
        fetch(library, way.host, key)
    assert key.read_bytes() == content


def test_threads_that_need_a_key_at_once_make_one(key: Path):
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(signature(key, b"x"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    private = load_ssh_private_key(key.read_bytes(), password=None)
    public = load_ssh_public_key(key.with_name("id_ed25519.pub").read_bytes())
    assert private.public_key() == public
    assert base64.b64decode(found[0].split(":")[0]).startswith(b"\0\0\0\x0bssh-ed25519")


def test_a_cdn_gets_no_token(hub: str, way: Line, library: Library, key: Path):
    way.gate = Gate()
    with line(hub) as cdn:
        way.elsewhere = lambda asked: f"http://{cdn.host}{asked.path}?signed"
        fetch(library, way.host, key, cdn.host)
        assert weights(library, way.host) == WEIGHTS
        assert way.sent() == 0
        assert cdn.blobs()
        assert not [asked for asked in cdn.asked if "Authorization" in asked.headers]
        redirected = [asked for asked in way.blobs() if "Authorization" in asked.headers]
        assert len(redirected) < len(cdn.blobs()), "parts go to the CDN directly"


def test_an_address_that_expires_is_asked_for_again(hub: str, way: Line, library: Library, key: Path):
    uses: dict[str, int] = {}

    def address(asked: Asked) -> str:
        return f"http://{cdn.host}{asked.path}?signed={len(way.asked)}"

    def expired(asked: Asked) -> bool:
        uses[asked.path] = uses.get(asked.path, 0) + 1
        return uses[asked.path] > 1

    with line(hub) as cdn:
        way.elsewhere = address
        cdn.refused = expired
        fetch(library, way.host, key, cdn.host)
        assert weights(library, way.host) == WEIGHTS
        assert len({asked.path for asked in cdn.blobs()}) > 3


def test_a_cdn_that_breaks_is_resumed(hub: str, way: Line, library: Library, key: Path):
    with line(hub) as cdn:
        way.elsewhere = lambda asked: f"http://{cdn.host}{asked.path}"
        cdn.faults(Fault("end", after=500_000), Fault("stall", after=3))
        fetch(library, way.host, key, cdn.host)
        assert weights(library, way.host) == WEIGHTS
        assert cdn.sent() == len(WEIGHTS) + sum(
            layer.size for layer in library.open(f"{way.host}/{MODEL}").layers[1:]
        ) + len(b'{"model_format":"gguf"}\n')


def test_redirects_in_a_circle_end(way: Line, library: Library, key: Path):
    way.elsewhere = lambda asked: f"http://{way.host}{asked.path}"
    with pytest.raises(PunaError, match=r"maximum redirects exceeded \(10\)"):
        fetch(library, way.host, key)


@given(st.text(), st.text(), st.lists(st.text(alphabet="abc:/,", min_size=1), min_size=1))
def test_a_challenge_is_read_back(realm: str, service: str, scopes: list[str]):
    quoted = [text.replace("\\", "").replace('"', "") for text in (f"https://host/{realm}", service)]
    header = f'Bearer realm="{quoted[0]}", service="{quoted[1]}",scope="{" ".join(scopes)}"'
    if "\n" not in header:
        assert Challenge.parse(header) == Challenge(quoted[0], quoted[1], " ".join(scopes))


@given(st.text())
def test_no_header_breaks_the_reader(header: str):
    found = Challenge.parse(header)
    assert found is None or found.realm


@pytest.mark.parametrize("header", ["", "Basic realm=x", "Bearer", 'Bearer service="x"', "Bearer realm"])
def test_what_asks_for_no_token_is_no_challenge(header: str):
    assert Challenge.parse(header) is None


def test_two_addresses_of_one_challenge_differ():
    challenge = Challenge("https://host/token?kept=1", "a b", "one two")
    first, second = challenge.url(), challenge.url()
    assert first != second
    assert "kept=1" in first
    assert "service=a+b" in first
    assert "scope=one&scope=two" in first


def test_a_pace_waits_longer_each_time_up_to_a_limit():
    limits = TransferLimits(back_off=1, longest=5)
    assert [limits.wait(failures, OSError()) for failures in (1, 2, 3, 4, 5)] == [1, 2, 4, 5, 5]
    assert limits.wait(1, RegistryRefused(429, "slowly", retry_after=7)) == 7
