"""A registry leads nobody to what only this machine reaches."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from puna.errors import PunaError
from puna.library import AllowedHosts, Layer, Library, Name, pull, push, restore
from puna.library.manifests import IMAGE
from puna.library.registry import guarded
from puna.library.registry.allowed import ANY_HOST, NotAllowed, host_and_port
from puna.library.registry.challenge import Challenge
from puna.library.registry.measure import MAX_LAYERS, MAX_TEXT_BYTES, check_sizes
from tests.gate import Gate
from tests.library.registry.conftest import DIGEST, LIMITS, MODEL, put
from tests.library.registry.pulling import nothing_is_left, pulled
from tests.registries import Line, line


@pytest.fixture
def inside(hub: str) -> Iterator[Line]:
    """Something on this machine that nobody named."""
    with line(hub) as found:
        yield found


def spellings(host: str) -> list[str]:
    port = host.rpartition(":")[2]
    return [
        f"{written}:{port}"
        for written in (
            "127.0.0.1",
            "localhost",
            "0x7f000001",
            "2130706433",
            "127.1",
            "0.0.0.0",
            "[::ffff:127.0.0.1]",
        )
    ]


@pytest.mark.parametrize("spelling", range(7))
def test_a_blob_is_not_fetched_from_where_only_this_machine_reaches(
    way: Line, inside: Line, library: Library, key: Path, spelling: int
):
    there = spellings(inside.host)[spelling]
    way.elsewhere = lambda asked: f"http://{there}{asked.path}"
    with pytest.raises(NotAllowed, match="PUNA_REGISTRIES"):
        pulled(library, way.host, key)
    assert inside.asked == []
    assert library.list() == []


def test_a_host_that_the_person_listed_is_one_they_trust(
    way: Line, inside: Line, library: Library, key: Path
):
    way.elsewhere = lambda asked: f"http://{inside.host}{asked.path}"
    allowed = AllowedHosts((way.host, inside.host))
    pull(
        library,
        f"{way.host}/{MODEL}",
        lambda step: None,
        insecure=True,
        key=key,
        limits=LIMITS,
        allowed=allowed,
    )
    assert inside.blobs()


@pytest.mark.parametrize(
    "address", ["http://169.254.169.254/latest", "http://10.0.0.1/", "https://[fd00::1]/"]
)
def test_a_blob_is_not_fetched_from_a_private_network(way: Line, library: Library, key: Path, address: str):
    way.elsewhere = lambda asked: address
    with pytest.raises(NotAllowed):
        pulled(library, way.host, key, attempts=1)


@pytest.mark.parametrize(
    "address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://:0/", "http://h:99999/"]
)
def test_only_http_leads_anywhere(way: Line, library: Library, key: Path, address: str):
    way.elsewhere = lambda asked: address
    with pytest.raises(PunaError):
        pulled(library, way.host, key, attempts=1)
    assert library.list() == []


def test_a_name_is_asked_at_the_address_that_was_checked(
    way: Line, inside: Line, library: Library, key: Path, monkeypatch: pytest.MonkeyPatch
):
    """DNS rebinding: the name is public when it is checked, and this machine's when it is asked again."""
    asked: list[str] = []

    def lookup(name: str, *rest: Any, **more: Any) -> list[Any]:
        asked.append(name)
        if name == "rebinding.example.com":
            return [(2, 1, 6, "", ("192.88.100.1" if asked.count(name) == 1 else "127.0.0.1", 0))]
        return real(name, *rest, **more)

    real = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    way.elsewhere = lambda request: (
        f"http://rebinding.example.com:{inside.host.partition(':')[2]}{request.path}"
    )
    with pytest.raises(PunaError):
        pulled(library, way.host, key, attempts=1, connect=0.3)
    assert inside.asked == []


def test_one_private_address_of_several_is_too_many():
    with pytest.raises(NotAllowed):
        guarded.check_public("both.example.com", ["8.8.8.8", "127.0.0.1"])
    guarded.check_public("public.example.com", ["8.8.8.8", "2606:4700::1"])


def test_where_a_registry_wants_an_upload_is_checked_too(
    way: Line, inside: Line, library: Library, key: Path, monkeypatch: pytest.MonkeyPatch
):
    from puna.library.registry.client import Registry

    monkeypatch.setattr(Registry, "address", lambda self, location, below: f"http://{inside.host}/v2/upload")
    put(library, f"{way.host}/me/secret", b"what only this machine has")
    with pytest.raises(NotAllowed):
        push(library, f"{way.host}/me/secret", lambda step: None, insecure=True, key=key, limits=LIMITS)
    assert inside.asked == []


def test_a_layer_of_a_strange_manifest_is_not_restored_from_inside(
    way: Line, inside: Line, library: Library, key: Path
):
    pull(library, f"{way.host}/{MODEL}", lambda step: None, insecure=True, key=key, limits=LIMITS)
    weights, *_ = library.open(f"{way.host}/{MODEL}").layers
    mine = Name.parse(f"{way.host}/library/strange")
    source = Layer(IMAGE + "model", weights.digest, weights.size, f"{inside.host}/library/x")
    library.write_manifest(mine, {"model_format": "gguf"}, [source])
    library.blobs.path(DIGEST).unlink()
    with pytest.raises(NotAllowed):
        restore(library, mine, lambda step: None, insecure=True, key=key, limits=LIMITS)
    assert inside.asked == []


def test_a_realm_is_the_registrys_own_or_one_that_is_known_to_be():
    Challenge("https://ollama.com/token").check_realm("https://registry.ollama.ai")
    Challenge("https://huggingface.co/token").check_realm("https://hf.co")
    for realm, base in (
        ("https://ollama.com/token", "https://registry.example.com"),
        ("https://registry.ollama.ai/token", "https://ollama.com"),
        ("http://ollama.com/token", "https://registry.ollama.ai"),
        ("https://ollama.com@evil.example.com/token", "https://registry.ollama.ai"),
    ):
        with pytest.raises(PunaError):
            Challenge(realm).check_realm(base)


def test_a_realm_inside_is_not_asked(way: Line, inside: Line, library: Library, key: Path):
    way.gate = Gate(realm=f"http://{inside.host}/token")
    with pytest.raises(PunaError, match="realm"):
        pulled(library, way.host, key)
    assert inside.asked == []
    assert not key.exists()


@pytest.mark.parametrize(
    ("listed", "host", "allowed"),
    [
        (("*",), "anything.example.com", True),
        (("registry.ollama.ai",), "registry.ollama.ai", True),
        (("registry.ollama.ai",), "hf.co", False),
        (("*.example.com",), "a.example.com", True),
        (("*.example.com",), "example.com", False),
        (("box:5000",), "box:5000", True),
        (("box:5000",), "box", False),
        (("box:5000",), "box:5001", False),
        (("BOX:5000",), "Box:5000", True),
    ],
)
def test_a_list_says_which_registries_are_asked(listed: tuple[str, ...], host: str, allowed: bool):
    if allowed:
        AllowedHosts(listed).check(host)
    else:
        with pytest.raises(NotAllowed, match=host):
            AllowedHosts(listed).check(host)


@pytest.mark.parametrize("act", [pull, push, restore])
def test_nothing_goes_to_a_registry_that_is_not_listed(
    way: Line, library: Library, key: Path, act: Callable[..., None]
):
    put(library, f"{way.host}/me/mine")
    with pytest.raises(NotAllowed):
        act(
            library,
            f"{way.host}/me/mine",
            lambda step: None,
            insecure=True,
            key=key,
            allowed=AllowedHosts(("hf.co",)),
        )
    assert way.asked == []


def test_only_a_written_host_is_one_that_others_may_lead_to():
    assert AllowedHosts(("*", "minio:9000")).names("http://minio:9000/x?y")
    assert not AllowedHosts(("*", "minio:9000")).names("http://minio/x")
    assert not AllowedHosts(("*", "minio*")).names("http://minio:9000/x")
    assert not ANY_HOST.names("http://127.0.0.1/")
    assert host_and_port("http://named:5000@other/") == ("other", 80)


@pytest.mark.parametrize(
    ("layers", "told"),
    [
        ([Layer(IMAGE + "model", DIGEST, 1)] * (MAX_LAYERS + 1), "257 layers"),
        ([Layer(IMAGE + "template", DIGEST, MAX_TEXT_BYTES + 1)], "template"),
        ([Layer("", DIGEST, MAX_TEXT_BYTES + 1)], "without a type"),
        ([Layer(IMAGE + "model", DIGEST, -1)], "-1 bytes"),
        ([Layer(IMAGE + "model", DIGEST, 1 << 62)], "not enough disk space"),
        ([Layer(IMAGE + "model", f"sha256:{n:064x}", 1 << 40) for n in range(200)], "not enough disk space"),
        ([Layer(IMAGE + "model", "sha256:../../x", 1)], "digest"),
    ],
)
def test_what_a_manifest_promises_is_measured_before_anything_is_fetched(
    library: Library, layers: list[Layer], told: str
):
    with pytest.raises(PunaError, match=told):
        check_sizes(library, layers)
    assert nothing_is_left(library)


def test_many_names_of_one_blob_need_its_room_once(library: Library):
    check_sizes(library, [Layer(IMAGE + "model", DIGEST, 1000)] * 50)
    assert nothing_is_left(library)
