"""Pictures at URLs: fetched from where they may be, refused elsewhere, and nothing told of what is there."""

from __future__ import annotations

import asyncio
import base64
import gzip
import re
import socket
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.server import remote as remote_module
from puna.server.addresses import is_public
from puna.server.remote import LARGEST, REDIRECTS, Remote
from puna.types import BadRequest
from tests.server.picture_hosts import PICTURE, Answer, answering, certificate, host, raw

CANNOT = "it must be a PNG, JPEG, WebP or GIF file of at most 20 MB"


@pytest.fixture
def near() -> Remote:
    """One that may ask this machine."""
    return Remote(private=True)


@contextmanager
def lookups(known: dict[str, list[str]]) -> Iterator[None]:
    """Names have these addresses and no others; nobody is asked for them."""
    real = socket.getaddrinfo

    def lookup(name: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        if not known.keys() & {name} and not re.fullmatch(r"[0-9a-fx.:]+|localhost", name):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [entry for address in known.get(name, [name]) for entry in real(address, port, *rest, **more)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lookup)
        yield


@pytest.fixture
def names() -> Iterator[dict[str, list[str]]]:
    """Names and the addresses they have, for a test to fill in."""
    known: dict[str, list[str]] = {}
    with lookups(known):
        yield known


async def refused(remote: Remote, url: str) -> str:
    with pytest.raises(BadRequest) as error:
        await remote.fetched(url)
    return str(error.value)


# Addresses


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
        *(
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.100.100.200",
            "100.127.255.255",
            "192.0.0.192",
        ),
        *("198.18.0.1", "198.19.255.255", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", "168.63.129.16"),
        *("::", "::1", "fe80::1", "fe80::1%2", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "100::1"),
        *("::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
        *("64:ff9b:1::808:808", "2002:7f00:1::", "2002:808:808::1", "2001::1", "2001:db8::1", "3fff::1"),
        *("4000::1", "e000::1", "5f00::1"),
    ],
)
def test_an_address_that_is_not_the_internets_is_not_public(address: str):
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *(
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
        ),
        *("192.0.1.1", "198.17.255.255", "198.20.0.0", "223.255.255.255", "168.63.129.17"),
        *("2606:4700:4700::1111", "2a00:1450:4001:82b::200e", "2001:4860:4860::8888", "64:ff9b::808:808"),
    ],
)
def test_an_address_of_the_internet_is_public(address: str):
    assert is_public(address)


def test_this_machines_own_addresses_are_not_public_nor_its_neighbours_in_ipv6(
    monkeypatch: pytest.MonkeyPatch,
):
    import psutil

    def card(family: int, address: str) -> Any:
        return SimpleNamespace(family=family, address=address)

    cards = {"en0": [card(socket.AF_INET, "8.8.4.4"), card(socket.AF_INET6, "2a00:1450:1:2::10%en0")]}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: cards)
    assert not is_public("8.8.4.4")
    assert is_public("8.8.4.5")
    assert not is_public("2a00:1450:1:2:ffff::1")
    assert is_public("2a00:1450:1:3::1")
    assert not is_public("64:ff9b::808:404")


@settings(deadline=None)
@given(st.ip_addresses(v=4))
def test_no_form_of_a_private_address_is_public(address: Any):
    if not address.is_global:
        inside = int(address)
        assert not is_public(str(address))
        assert not is_public(f"64:ff9b::{inside >> 16:x}:{inside & 0xFFFF:x}")
        assert not is_public(f"::ffff:{inside >> 16:x}:{inside & 0xFFFF:x}")
        assert not is_public(f"2002:{inside >> 16:x}:{inside & 0xFFFF:x}::1")


# What comes


async def test_a_picture_is_fetched(near: Remote):
    with host(answering()) as there:
        assert await near.fetched(f" {there.url}?a=1&b=%20#part\n") == PICTURE
    (asked,) = there.asked
    lines = asked.decode().lower().split("\r\n")
    assert asked.startswith(b"GET /picture.png?a=1&b=%20 HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{there.port}" in lines
    assert not [line for line in lines if line.startswith(("cookie", "authorization", "referer"))]


@pytest.mark.parametrize(
    "body", [b"\xff\xd8\xff\xe0" + bytes(50), b"GIF89a" + bytes(50), b"RIFF\x20\0\0\0WEBPVP8 " + bytes(50)]
)
async def test_each_kind_of_picture_is_one_whatever_its_type_says(near: Remote, body: bytes):
    with host(answering(body=body, Content_Type="text/html")) as there:
        assert await near.fetched(there.url) == body


async def test_a_length_may_be_said_twice(near: Remote):
    length = str(len(PICTURE)).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b", " + length + b"\r\n\r\n"
    with host(raw(head + PICTURE)) as there:
        assert await near.fetched(there.url) == PICTURE


@pytest.mark.parametrize("size", [1, 3, 20_000])
async def test_a_picture_may_come_in_pieces_of_any_size(near: Remote, size: int):
    body = PICTURE * (size * 10 // len(PICTURE) + 1)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    pieces = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in chunks]
    with host(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *pieces, b"0\r\n\r\n")) as there:
        assert await near.fetched(there.url) == body


async def test_a_picture_as_large_as_allowed_comes_and_one_byte_more_does_not(near: Remote):
    largest = PICTURE + bytes(LARGEST - len(PICTURE))
    with host(answering(body=largest)) as there:
        assert len(await near.fetched(there.url)) == LARGEST
    with host(raw(b"HTTP/1.1 200 OK\r\n\r\n", largest, b"\0")) as there:
        assert CANNOT in await refused(near, there.url)


def endless(piece: bytes) -> Answer:
    def answer(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + PICTURE)
        while True:
            connection.sendall(piece)

    return answer


def endless_head(connection: socket.socket, asked: bytes) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n" * 500)


FAULTS: dict[str, Answer] = {
    "endless": endless(bytes(1 << 16)),
    "endless-head": endless_head,
    "short": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + PICTURE),
    "cut-chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + PICTURE),
    "gzip": answering(body=gzip.compress(PICTURE), Content_Encoding="gzip"),
    "gzip-bomb": answering(body=gzip.compress(bytes(200 << 20)), Content_Encoding="gzip"),
    "html": answering(body=b"<!doctype html><title>secret</title>"),
    "text": answering(body=b"root:x:0:0:secret", Content_Type="image/png"),
    "empty": answering(body=b""),
    "few-bytes": answering(body=b"\x89PN"),
    "missing": answering(404),
    "forbidden": answering(403),
    "error": answering(500),
    "part": answering(206),
    "no-http": raw(b"SSH-2.0-OpenSSH_9.6 secret\r\n"),
    "nothing": raw(),
    "no-place": answering(302),
    "to-file": answering(302, Location="file:///etc/passwd"),
    "to-password": answering(302, Location="http://user:secret@example.com/"),
    "to-nonsense": answering(302, Location="http://[::secret"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_whatever_goes_wrong_the_words_are_the_same(near: Remote, fault: str):
    with host(FAULTS[fault]) as there:
        assert await refused(near, there.url) == (
            f'cannot fetch image "{there.url}": {CANNOT}, and come within 10 seconds'
        )


@pytest.mark.parametrize("fault", ["endless", "gzip-bomb"])
async def test_what_is_too_large_takes_no_more_memory_than_what_is_allowed(near: Remote, fault: str):
    with host(FAULTS[fault]) as there:
        tracemalloc.start()
        try:
            await refused(near, there.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 3 * LARGEST


async def test_a_length_that_promises_too_much_is_not_waited_for(near: Remote):
    release = threading.Event()

    def answer(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {LARGEST + 1}\r\n\r\n".encode())
        release.wait(60)

    with host(answer) as there:
        assert CANNOT in await refused(near, there.url)
    release.set()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + PICTURE])
async def test_a_server_that_stops_answering_is_given_up(
    near: Remote, monkeypatch: pytest.MonkeyPatch, said: bytes
):
    monkeypatch.setattr(remote_module, "SECONDS", 0.2)
    release = threading.Event()

    def answer(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(said)
        release.wait(60)

    with host(answer) as there:
        assert "come within 0.2 seconds" in await refused(near, there.url)
    release.set()


async def test_a_server_that_trickles_is_given_up(near: Remote, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_module, "SECONDS", 0.3)
    release = threading.Event()

    def answer(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + PICTURE)
        while not release.wait(0.01):
            connection.sendall(b"\0")

    with host(answer) as there:
        assert CANNOT in await refused(near, there.url)
    release.set()


async def test_a_closed_port_and_an_unknown_name_read_the_same(near: Remote, names: dict[str, list[str]]):
    with host(answering()) as there:
        pass
    names["gone.example"] = []
    closed, unknown = await refused(near, there.url), await refused(near, "http://gone.example/")
    assert closed.replace(there.url, "") == unknown.replace("http://gone.example/", "")


# Where from


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "127.1", "[::ffff:127.0.0.1]"]
)
async def test_this_machine_is_not_asked(name: str):
    with host(answering()) as there:
        said = await refused(Remote(), f"http://{name}:{there.port}/")
    assert "at a public address" in said
    assert there.connections == 0


async def test_a_private_picture_a_missing_one_and_no_server_at_all_read_the_same():
    with host(answering()) as picture, host(answering(404)) as missing:
        urls = [picture.url, missing.url, "http://192.168.0.1/", "http://169.254.169.254/latest/meta-data/"]
        assert len({(await refused(Remote(), url)).replace(url, "") for url in urls}) == 1


@pytest.fixture
def one_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    """127.0.0.2 counts as the internet; 127.0.0.1 does not."""
    monkeypatch.setattr(remote_module, "is_public", lambda address: address == "127.0.0.2")


linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8")


@linux
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_from_the_internet_to_this_machine_is_not_followed(one_is_public: None, status: int):
    with host(answering()) as secret, host(answering(status, Location=secret.url), "127.0.0.2") as there:
        said = await refused(Remote(), there.url)
    assert (secret.connections, there.connections) == (0, 1)
    assert secret.url not in said


@linux
async def test_a_name_with_one_private_address_is_refused(one_is_public: None, names: dict[str, list[str]]):
    names["both.example"] = ["127.0.0.2", "127.0.0.1"]
    with host(answering(), "127.0.0.2") as there:
        await refused(Remote(), f"http://both.example:{there.port}/")
    assert there.connections == 0


@linux
async def test_a_name_that_changes_its_address_after_the_check_gains_nothing(
    one_is_public: None, monkeypatch: pytest.MonkeyPatch
):
    answers = iter(["127.0.0.2", "127.0.0.1", "127.0.0.1"])
    looked_up: list[str] = []
    real = socket.getaddrinfo

    def lookup(name: Any, *rest: Any, **more: Any) -> Any:
        if name == "rebinds.example":
            looked_up.append(name)
            name = next(answers)
        return real(name, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with host(answering(), "127.0.0.2") as there:
        assert await Remote().fetched(f"http://rebinds.example:{there.port}/") == PICTURE
    assert len(looked_up) == 1
    assert f"Host: rebinds.example:{there.port}".encode() in there.asked[0]


async def test_a_dead_address_leaves_the_others_their_chance(near: Remote, names: dict[str, list[str]]):
    names["several.example"] = ["127.0.0.3", "127.0.0.1"]
    with host(answering()) as there:
        assert await near.fetched(f"http://several.example:{there.port}/") == PICTURE


def hops(count: int) -> Answer:
    """A redirect to the next number, until it is `count`; a cookie with each."""

    def answer(connection: socket.socket, asked: bytes) -> None:
        at = int(asked.split()[1].rpartition(b"/")[2] or 0)
        then = (
            answering()
            if at == count
            else answering(302, b"", Location=f"/{at + 1}", Set_Cookie="a=b; Path=/")
        )
        then(connection, asked)

    return answer


async def test_redirects_are_followed_so_far_and_no_cookie_is_kept(near: Remote):
    with host(hops(REDIRECTS)) as there:
        assert await near.fetched(f"http://127.0.0.1:{there.port}/0") == PICTURE
    assert there.connections == REDIRECTS + 1
    assert not [asked for asked in there.asked if b"cookie" in asked.lower()]
    with host(hops(REDIRECTS + 1)) as there:
        assert CANNOT in await refused(near, f"http://127.0.0.1:{there.port}/0")
    assert there.connections == REDIRECTS + 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", "only http, https and data URLs"),
        ("ftp://example.com/a.png", "only http, https and data URLs"),
        ("gopher://example.com/", "only http, https and data URLs"),
        ("//example.com/a.png", "only http, https and data URLs"),
        ("example.com/a.png", "only http, https and data URLs"),
        ("", "only http, https and data URLs"),
        ("http://", "it names no host"),
        ("http:///a.png", "it names no host"),
        ("http://user:word@example.com/", "user name or password"),
        ("http://user@example.com/", "user name or password"),
        ("http://example.com:0/", "its port is not a port"),
        ("http://example.com:99999/", "its port is not a port"),
        ("http://[::1/", "it is not a URL"),
        ("http://example.com/a\r\nHost: x", "it is not a URL"),
    ],
)
async def test_a_url_that_is_never_fetched_is_refused_with_the_reason(near: Remote, url: str, says: str):
    said = await refused(near, url)
    assert said.startswith(f'invalid image URL "{url.strip()}"')
    assert says in said


async def test_a_long_url_is_not_repeated_whole(near: Remote):
    assert len(await refused(near, "ftp://example.com/" + "a" * 100_000)) < 400


@settings(deadline=None)
@given(st.text(max_size=60))
async def test_any_data_url_is_bytes_or_refused(text: str):
    try:
        found = await Remote().fetched("data:" + text)
    except BadRequest:
        return
    assert isinstance(found, bytes)


@settings(deadline=None)
@given(st.sampled_from(["http://", "https://", "http://example.com", "", "HTTP:"]), st.text(max_size=40))
async def test_any_text_is_refused(scheme: str, text: str):
    with lookups({}):
        await refused(Remote(), scheme + text)


@settings(deadline=None)
@given(st.binary(max_size=40).filter(lambda text: b"\n" not in text))
async def test_any_redirect_is_followed_or_refused(location: bytes):
    with lookups({}), host(raw(b"HTTP/1.1 302 Found\r\nLocation: " + location + b"\r\n\r\n")) as there:
        assert CANNOT in await refused(Remote(private=True), there.url)


@pytest.mark.parametrize("name", ["a..b", "." * 70, "a" * 64 + ".example", "xn--", "%00", "-"])
async def test_a_name_that_is_none_is_refused(near: Remote, name: str):
    await refused(near, f"http://{name}/")


async def test_no_proxy_is_asked(near: Remote, monkeypatch: pytest.MonkeyPatch):
    with host(answering()) as proxy, host(answering()) as there:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await near.fetched(there.url) == PICTURE
    assert (proxy.connections, there.connections) == (0, 1)


# TLS


@pytest.fixture
def trusting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Makes a certificate one that is believed."""

    def trust(file: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
        remote_module._certificates.cache_clear()

    yield trust
    remote_module._certificates.cache_clear()


async def test_over_tls_the_name_is_what_is_asked_for_and_checked(
    near: Remote, names: dict[str, list[str]], trusting: Callable[[Path], None], tmp_path: Path
):
    tls, believed = certificate(tmp_path, "pictures.example")
    trusting(believed)
    seen: list[str | None] = []
    tls.sni_callback = lambda line, name, context: seen.append(name)
    names["pictures.example"] = names["other.example"] = ["127.0.0.1"]
    with host(answering(), tls=tls) as there:
        assert await near.fetched(f"https://pictures.example:{there.port}/") == PICTURE
        assert CANNOT in await refused(near, f"https://other.example:{there.port}/")
        assert CANNOT in await refused(near, there.url)
    assert seen[:2] == ["pictures.example", "other.example"]
    assert len(there.asked) == 1


async def test_a_certificate_nobody_vouches_for_is_refused(
    near: Remote, names: dict[str, list[str]], tmp_path: Path
):
    tls, _ = certificate(tmp_path, "pictures.example")
    names["pictures.example"] = ["127.0.0.1"]
    with host(answering(), tls=tls) as there:
        assert CANNOT in await refused(near, f"https://pictures.example:{there.port}/")
    assert there.asked == []


# How many


async def test_so_many_are_on_their_way_at_once(near: Remote):
    release = threading.Event()

    def answer(connection: socket.socket, asked: bytes) -> None:
        release.wait(60)
        answering()(connection, asked)

    with host(answer) as there:
        fetches = [asyncio.create_task(near.fetched(there.url)) for _ in range(20)]
        while len(there.asked) < remote_module.AT_ONCE:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        most = there.connections
        release.set()
        assert await asyncio.gather(*fetches) == [PICTURE] * 20
    assert most == remote_module.AT_ONCE


async def test_a_request_has_so_many_pictures_and_the_next_has_as_many(
    near: Remote, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(remote_module, "PICTURES", 2)
    with host(answering()) as there:
        for _ in range(2):
            visit = near.visit()
            assert [await visit.fetched(there.url) for _ in range(2)] == [PICTURE] * 2
            assert await refused(visit, there.url) == "a request may name at most 2 image URLs"


async def test_a_requests_pictures_have_so_many_bytes_together(near: Remote, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_module, "TOGETHER", 3 << 20)
    with host(answering(body=PICTURE + bytes(1 << 20))) as there:
        visit = near.visit()
        assert [len(await visit.fetched(there.url)) for _ in range(2)]
        assert await refused(visit, there.url) == "the images of a request may have at most 3 MB together"


# data:


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64," + base64.b64encode(PICTURE).decode(),
        "DATA:image/png;charset=utf-8;BASE64," + base64.b64encode(PICTURE).decode(),
        "data:;base64," + base64.urlsafe_b64encode(PICTURE).decode().rstrip("="),
        "data:image/png;base64," + quote(base64.b64encode(PICTURE).decode(), safe=""),
        "data:image/png," + quote(PICTURE),
        "data:," + quote(PICTURE),
    ],
)
async def test_a_data_url_holds_the_picture_itself(url: str):
    assert await Remote().fetched(url) == PICTURE


@pytest.mark.parametrize(("url", "says"), [("data:image/png", "no comma"), ("data:;base64,§", "not base64")])
async def test_a_data_url_that_is_none_is_refused(url: str, says: str):
    assert says in await refused(Remote(), url)
