"""Where nothing is fetched from, however the place is spelled."""

from __future__ import annotations

import socket
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.server import remote as remote_module
from puna.server.remote import MAX_REDIRECTS, Remote
from tests.server.fetching import CANNOT, FIELD, lookups, refused
from tests.server.picture_hosts import MEDIA_MARKER, Answer, answering, host, raw


@pytest.mark.parametrize(
    "name",
    [
        *("127.0.0.1", "localhost", "LOCALHOST", "localhost.", "2130706433", "0x7f000001", "017700000001"),
        *(
            "0x7f.1",
            "127.1",
            "127.0.1",
            "0177.0.0.1",
            "0",
            "0.0.0.0",
            "１２７.0.0.1",
            "①②⑦.0.0.1",
            "127。0。0。1",
        ),
        *(
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[0:0:0:0:0:ffff:127.0.0.1]",
            "%31%32%37.0.0.1",
        ),
    ],
)
async def test_this_machine_is_not_asked(name: str):
    with host(answering()) as there:
        said = await refused(Remote(), f"http://{name}:{there.port}/")
    assert "at a public address" in said or "it is not a URL" in said
    assert there.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{}\\@example.com/a.png",
        "http://example.com@127.0.0.1:{}/",
        "http://127.0.0.1:{}#@example.com/",
        "http://127.0.0.1:{}?@example.com/",
        "http:\\\\127.0.0.1:{}/",
        "http:////127.0.0.1:{}/",
        "http:127.0.0.1:{}/",
        "http://\t127.0.0.1:{}/",
        "http://127.0.0.1\u200b:{}/",
        "http://127.0.0.1%00.example.com:{}/",
        "http://[::ffff:127.0.0.1%251]:{}/",
        "http://[64:ff9b::7f00:1]:{}/",
    ],
)
async def test_this_machine_is_not_asked_by_a_url_that_two_would_read_differently(url: str):
    with lookups({}), host(answering()) as there:
        await refused(Remote(), url.format(there.port))
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
        assert await Remote().fetch(f"http://rebinds.example:{there.port}/", FIELD) == MEDIA_MARKER
    assert len(looked_up) == 1
    assert f"Host: rebinds.example:{there.port}".encode() in there.asked[0]


async def test_a_dead_address_leaves_the_others_their_chance(near: Remote, names: dict[str, list[str]]):
    names["several.example"] = ["127.0.0.3", "127.0.0.1"]
    with host(answering()) as there:
        assert await near.fetch(f"http://several.example:{there.port}/", FIELD) == MEDIA_MARKER


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
    with host(hops(MAX_REDIRECTS)) as there:
        assert await near.fetch(f"http://127.0.0.1:{there.port}/0", FIELD) == MEDIA_MARKER
    assert there.connections == MAX_REDIRECTS + 1
    assert not [asked for asked in there.asked if b"cookie" in asked.lower()]
    with host(hops(MAX_REDIRECTS + 1)) as there:
        assert CANNOT in await refused(near, f"http://127.0.0.1:{there.port}/0")
    assert there.connections == MAX_REDIRECTS + 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file:///etc/passwd", "only http and https URLs"),
        ("ftp://example.com/a.png", "only http and https URLs"),
        ("gopher://example.com/", "only http and https URLs"),
        ("//example.com/a.png", "only http and https URLs"),
        ("example.com/a.png", "only http and https URLs"),
        ("", "only http and https URLs"),
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
    assert said.startswith(f'invalid URL "{url.strip()}"')
    assert says in said


async def test_a_long_url_is_not_repeated_whole(near: Remote):
    assert len(await refused(near, "ftp://example.com/" + "a" * 100_000)) < 400


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
        assert await near.fetch(there.url, FIELD) == MEDIA_MARKER
    assert (proxy.connections, there.connections) == (0, 1)
