"""HEAD and POST /api/blobs/:digest: what is sent arrives whole or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest

from puna.library import Library
from tests.running import Server, serving

MISSING = "sha256:" + "0" * 64
LOCAL = "Puna-Local-Path"
OFFSET = "Upload-Offset"


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def at(digest: str) -> str:
    return f"/api/blobs/{digest}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("blobs") / "models") as running:
        yield running


@pytest.fixture
def content() -> bytes:
    """What no other test has sent."""
    return os.urandom(3 << 20)


def stored(server: Server) -> set[str]:
    folder = server.models / "blobs"
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def test_a_blob_is_sent_once(content: bytes, server: Server, client: httpx.Client):
    digest, before = digest_of(content), stored(server)
    assert client.head(at(digest)).status_code == 404
    answer = client.post(at(digest), content=content)
    assert (answer.status_code, answer.content) == (201, b"")
    assert client.head(at(digest)).status_code == 200
    assert client.post(at(digest), content=content).status_code == 200
    assert Library(server.models).blobs.path(digest).read_bytes() == content
    assert len(stored(server) - before) == 1


def test_a_blob_in_pieces_of_any_size(content: bytes, server: Server, client: httpx.Client):
    pieces = [content[:1], content[1 : 1 << 20], content[1 << 20 :]]
    assert client.post(at(digest_of(content)), content=iter(pieces)).status_code == 201
    assert Library(server.models).blobs.path(digest_of(content)).read_bytes() == content


def test_nothing_is_a_blob_too(client: httpx.Client):
    assert client.post(at(digest_of(b"")), content=b"").status_code == 201


def test_what_has_another_digest_is_not_kept(content: bytes, server: Server, client: httpx.Client):
    before = stored(server)
    answer = client.post(at(MISSING), content=content)
    assert answer.status_code == 400
    assert answer.json() == {"error": f'digest mismatch, expected "{MISSING}", got "{digest_of(content)}"'}
    assert stored(server) == before


@pytest.mark.parametrize("digest", ["sha256:12", "md5:" + "0" * 64, "sha256:" + "g" * 64, "..%2f..%2fx"])
def test_what_is_no_digest_is_refused(client: httpx.Client, digest: str):
    answer = client.post(at(digest), content=b"x")
    if "%2f" in digest:
        assert answer.status_code == 404
    else:
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid digest format"})
        assert client.head(at(digest)).status_code == 400


def test_a_client_that_goes_away_leaves_nothing(content: bytes, server: Server):
    before = stored(server)
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("POST", f"/api/blobs/{digest_of(content)}")
    connection.putheader("Content-Length", str(len(content)))
    connection.endheaders(content[: 2 << 20])
    until(lambda: stored(server) != before)
    connection.close()
    until(lambda: stored(server) == before)


def broken_off(server: Server, content: bytes) -> None:
    """Send only a mebibyte of `content`: the server writes as much at once."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("POST", at(digest_of(content)))
    connection.putheader("Content-Length", str(len(content)))
    connection.putheader(OFFSET, "0")
    connection.endheaders(content[: 1 << 20])
    until(lambda: arrived(httpx.head(server.url + at(digest_of(content)))) == 1 << 20)
    connection.close()


def arrived(answer: httpx.Response) -> int:
    assert answer.status_code == 404
    return int(answer.headers.get(OFFSET, 0))


def resumed(client: httpx.Client, content: bytes, offset: int, rest: bytes) -> httpx.Response:
    """The answer to the rest, once the server has noticed that the one before broke off."""
    answers: list[httpx.Response] = []

    def sent() -> bool:
        answers.append(client.post(at(digest_of(content)), content=rest, headers={OFFSET: str(offset)}))
        return "being sent" not in answers[-1].text

    until(sent)
    return answers[-1]


def test_an_upload_goes_on_where_it_broke_off(content: bytes, server: Server, client: httpx.Client):
    before = stored(server)
    broken_off(server, content)
    answer = resumed(client, content, 1 << 20, content[1 << 20 :])
    assert (answer.status_code, answer.content) == (201, b"")
    assert Library(server.models).blobs.path(digest_of(content)).read_bytes() == content
    assert len(stored(server) - before) == 1


def test_an_upload_goes_on_after_the_server_was_killed(content: bytes, tmp_path: Path):
    with serving(tmp_path / "models") as server:
        broken_off(server, content)
        server.process.kill()
        server.process.wait()
    with serving(tmp_path / "models") as server, httpx.Client(base_url=server.url, timeout=60) as client:
        assert arrived(client.head(at(digest_of(content)))) == 1 << 20
        assert resumed(client, content, 1 << 20, content[1 << 20 :]).status_code == 201
        assert Library(server.models).blobs.path(digest_of(content)).read_bytes() == content
        assert len(stored(server)) == 1


@pytest.mark.parametrize("offset", [0, (1 << 20) - 1, (1 << 20) + 1])
def test_an_upload_that_goes_on_elsewhere_is_refused_and_kept(
    content: bytes, server: Server, client: httpx.Client, offset: int
):
    broken_off(server, content)
    answer = resumed(client, content, offset, content[offset:])
    assert answer.status_code == 409
    assert str(1 << 20) in answer.json()["error"]
    assert resumed(client, content, 1 << 20, content[1 << 20 :]).status_code == 201


def test_an_upload_whose_rest_is_of_another_file_is_not_kept(
    content: bytes, server: Server, client: httpx.Client
):
    before = stored(server)
    broken_off(server, content)
    answer = resumed(client, content, 1 << 20, content[:5])
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("digest mismatch")
    assert arrived(client.head(at(digest_of(content)))) == 0
    assert stored(server) == before


def test_a_blob_that_is_being_sent_is_not_sent_by_another(
    content: bytes, server: Server, client: httpx.Client
):
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.putrequest("POST", at(digest_of(content)))
    connection.putheader("Content-Length", str(len(content)))
    connection.putheader(OFFSET, "0")
    connection.endheaders(content[: 1 << 20])
    until(lambda: arrived(client.head(at(digest_of(content)))) == 1 << 20)
    answer = client.post(at(digest_of(content)), content=content[1 << 20 :], headers={OFFSET: str(1 << 20)})
    assert answer.status_code == 409
    connection.send(content[1 << 20 :])
    assert connection.getresponse().status == 201
    connection.close()


@pytest.mark.parametrize("offset", ["", "-1", "1.5", "x", "9" * 30])
def test_an_offset_that_is_no_count_is_refused(
    content: bytes, server: Server, client: httpx.Client, offset: str
):
    before = stored(server)
    answer = client.post(at(digest_of(content)), content=content, headers={OFFSET: offset})
    assert answer.status_code == 400
    assert "Upload-Offset" in answer.json()["error"]
    assert stored(server) == before


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="counts memory otherwise")
def test_memory_does_not_grow_with_the_blob(content: bytes, server: Server, client: httpx.Client):
    process = psutil.Process(server.process.pid)
    client.post(at(digest_of(content)), content=content)
    before, most, piece, count = process.memory_info().rss, 0, os.urandom(1 << 20), 100
    hasher = hashlib.sha256()
    for _ in range(count):
        hasher.update(piece)

    def pieces() -> Iterator[bytes]:
        nonlocal most
        for _ in range(count):
            most = max(most, process.memory_info().rss)
            yield piece

    assert client.post(at(f"sha256:{hasher.hexdigest()}"), content=pieces()).status_code == 201
    assert most - before < 30 << 20


def test_a_client_on_this_machine_can_name_a_path(
    content: bytes, server: Server, client: httpx.Client, tmp_path: Path
):
    path = tmp_path / "模型 %41.gguf"
    path.write_bytes(content)
    digest = digest_of(content)
    answer = client.post(at(digest), headers={LOCAL: quote(str(path))})
    assert (answer.status_code, answer.content) == (201, b"")
    assert Library(server.models).blobs.path(digest).read_bytes() == content
    assert client.post(at(digest), headers={LOCAL: quote(str(path))}).status_code == 200


def test_a_path_with_another_digest_is_refused(
    content: bytes, server: Server, client: httpx.Client, tmp_path: Path
):
    before = stored(server)
    (tmp_path / "file").write_bytes(content)
    answer = client.post(at(MISSING), headers={LOCAL: str(tmp_path / "file")})
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("digest mismatch")
    assert stored(server) == before


@pytest.mark.parametrize("path", ["{}/none", "{}", "file", "{}/pipe", "%00", "{}/file/below"])
def test_a_path_that_cannot_be_taken_asks_for_the_file(
    content: bytes, client: httpx.Client, tmp_path: Path, path: str
):
    (tmp_path / "file").write_bytes(content)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
    answer = client.post(at(digest_of(content)), headers={LOCAL: path.format(tmp_path)})
    assert answer.status_code == 409
    assert answer.json()["error"]
    assert client.post(at(digest_of(content)), content=content).status_code == 201


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For", "Via"])
def test_a_path_that_comes_through_a_proxy_is_not_taken(
    content: bytes, client: httpx.Client, tmp_path: Path, header: str
):
    (tmp_path / "file").write_bytes(content)
    headers = {LOCAL: str(tmp_path / "file"), header: "10.0.0.1"}
    answer = client.post(at(digest_of(content)), headers=headers)
    assert answer.status_code == 409
    assert answer.json() == {"error": "only a client on this machine can name a path"}
