"""Files that come, and what is told of those that do not."""

from __future__ import annotations

import gzip
import socket
import threading
import tracemalloc

import pytest

from puna.server import remote as remote_module
from puna.server.remote import MAX_FILE_BYTES, Remote
from tests.server.fetching import CANNOT, FIELD, refused
from tests.server.picture_hosts import MEDIA_MARKER, Answer, answering, host, raw


async def test_a_picture_is_fetched(near: Remote):
    with host(answering()) as there:
        assert await near.fetch(f" {there.url}?a=1&b=%20#part\n", FIELD) == MEDIA_MARKER
    (asked,) = there.asked
    lines = asked.decode().lower().split("\r\n")
    assert asked.startswith(b"GET /picture.png?a=1&b=%20 HTTP/1.1\r\n")
    assert f"host: 127.0.0.1:{there.port}" in lines
    assert not [line for line in lines if line.startswith(("cookie", "authorization", "referer"))]


@pytest.mark.parametrize(
    "sign",
    [
        *(b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF\x20\0\0\0WEBPVP8 "),
        *(b"RIFF\x20\0\0\0WAVEfmt ", b"fLaC", b"ID3\x04", b"\xff\xfb\x90", b"\xff\xf3\x40"),
    ],
)
async def test_each_kind_of_file_is_one_whatever_its_type_says(near: Remote, sign: bytes):
    body = sign + bytes(50)
    with host(answering(body=body, Content_Type="text/html")) as there:
        assert await near.fetch(there.url, FIELD) == body


async def test_a_length_may_be_said_twice(near: Remote):
    length = str(len(MEDIA_MARKER)).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b", " + length + b"\r\n\r\n"
    with host(raw(head + MEDIA_MARKER)) as there:
        assert await near.fetch(there.url, FIELD) == MEDIA_MARKER


@pytest.mark.parametrize("size", [1, 3, 20_000])
async def test_a_picture_may_come_in_pieces_of_any_size(near: Remote, size: int):
    body = MEDIA_MARKER * (size * 10 // len(MEDIA_MARKER) + 1)
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    pieces = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in chunks]
    with host(raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", *pieces, b"0\r\n\r\n")) as there:
        assert await near.fetch(there.url, FIELD) == body


async def test_a_picture_as_large_as_allowed_comes_and_one_byte_more_does_not(near: Remote):
    largest = MEDIA_MARKER + bytes(MAX_FILE_BYTES - len(MEDIA_MARKER))
    with host(answering(body=largest)) as there:
        assert len(await near.fetch(there.url, FIELD)) == MAX_FILE_BYTES
    with host(raw(b"HTTP/1.1 200 OK\r\n\r\n", largest, b"\0")) as there:
        assert CANNOT in await refused(near, there.url)


def endless(piece: bytes) -> Answer:
    def answer(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\n\r\n" + MEDIA_MARKER)
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
    "short": raw(b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + MEDIA_MARKER),
    "cut-chunk": raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n" + MEDIA_MARKER),
    "gzip": answering(body=gzip.compress(MEDIA_MARKER), Content_Encoding="gzip"),
    "gzip-bomb": answering(body=gzip.compress(bytes(200 << 20)), Content_Encoding="gzip"),
    "html": answering(body=b"<!doctype html><title>secret</title>"),
    "text": answering(body=b"root:x:0:0:secret", Content_Type="image/png"),
    "text-in-16-bits": answering(body="secret".encode("utf-16")),
    "ogg": answering(body=b"OggS" + bytes(50)),
    "aac": answering(body=b"\xff\xf1" + bytes(50)),
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
            f'cannot fetch "{there.url}": {CANNOT}, and come within 10 seconds'
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
    assert peak < 3 * MAX_FILE_BYTES


async def test_a_length_that_promises_too_much_is_not_waited_for(near: Remote):
    release = threading.Event()

    def answer(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {MAX_FILE_BYTES + 1}\r\n\r\n".encode())
        release.wait(60)

    with host(answer) as there:
        assert CANNOT in await refused(near, there.url)
    release.set()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\n\r\n" + MEDIA_MARKER])
async def test_a_server_that_stops_answering_is_given_up(
    near: Remote, monkeypatch: pytest.MonkeyPatch, said: bytes
):
    monkeypatch.setattr(remote_module, "TIMEOUT", 0.2)
    release = threading.Event()

    def answer(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(said)
        release.wait(60)

    with host(answer) as there:
        assert "come within 0.2 seconds" in await refused(near, there.url)
    release.set()


async def test_a_server_that_trickles_is_given_up(near: Remote, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_module, "TIMEOUT", 0.3)
    release = threading.Event()

    def answer(connection: socket.socket, asked: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + MEDIA_MARKER)
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
