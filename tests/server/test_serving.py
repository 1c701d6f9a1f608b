"""The server as a process: where it listens, how it ends, how little it takes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import psutil
import pytest

from tests.running import Server, run_puna, serving
from tests.server.conftest import SCRIPT


def test_a_port_in_use_ends_the_server_with_the_reason(native_server: Server):
    result = run_puna("serve", env=native_server.environment())
    assert result.returncode == 1
    where = native_server.url.removeprefix("http://")
    assert result.stderr.strip() == f"Error: listen tcp {where}: bind: address already in use"


def test_an_idle_server_is_small(store: Path):
    with serving(store) as server:
        httpx.get(f"{server.url}/api/tags")
        assert psutil.Process(server.process.pid).memory_info().rss < 120 << 20


def test_a_missing_store_is_an_empty_one(store: Path):
    with serving(store / "nowhere") as server:
        assert httpx.get(f"{server.url}/api/tags").json() == {"models": []}


def test_a_request_leaves_a_line_in_the_log(server: Server):
    httpx.get(f"{server.url}/api/nothing")
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=30)
    assert any("404" in line and '"/api/nothing"' in line for line in server.log)


def test_half_a_request_does_not_disturb_the_server(native_server: Server):
    with socket.create_connection(("127.0.0.1", native_server.port)) as line:
        line.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert httpx.get(native_server.url).status_code == 200


def test_a_port_alone_serves_every_address(store: Path):
    with serving(store, OLLAMA_HOST=":0") as server:
        for host in ("127.0.0.1", "127.0.0.2", *(["[::1]"] if socket.has_dualstack_ipv6() else [])):
            assert httpx.get(f"http://{host}:{server.port}/api/version").status_code == 200
        # Whoever serves every address is called by any name.
        named = httpx.get(f"http://127.0.0.1:{server.port}/", headers={"Host": "box.example.com"})
        assert named.status_code == 200


def test_a_wrong_port_is_told(store: Path):
    environment = {**os.environ, "OLLAMA_HOST": "192.0.2.1:99999", "OLLAMA_MODELS": str(store)}
    command = [sys.executable, "-m", "puna", "serve"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert "99999" in ended.stderr
    assert "192.0.2.1:11434" in ended.stderr


@pytest.mark.parametrize("extra", ["", "Connection: keep-alive\r\n"])
@pytest.mark.parametrize(
    ("method", "path", "headers", "body", "status"),
    [
        ("POST", "/api/generate", "", '{"model": "talker", "prompt": "Hi"}', 200),
        ("POST", "/v1/chat/completions", "", '{"model": "talker", "messages": [], "stream": true}', 400),
        ("GET", "/api/tags", "", "", 200),
        ("GET", "/api/tags", "Host: evil.example.com\r\n", "", 403),
        ("OPTIONS", "/api/tags", "", "", 204),
        ("HEAD", "/api/tags", "", "", 200),
        ("GET", "/nothing", "", "", 404),
        ("GET", "/api/tags/", "", "", 301),
    ],
)
def test_a_client_of_http_1_0_gets_no_chunks(
    native_server: Server, method: str, path: str, headers: str, body: str, status: int, extra: str
):
    request = f"{method} {path} HTTP/1.0\r\n{headers}{extra}Content-Length: {len(body)}\r\n\r\n{body}"
    with socket.create_connection(("127.0.0.1", native_server.port), timeout=60) as line:
        line.sendall(request.encode())
        answer = b"".join(iter(lambda: line.recv(1 << 16), b""))
    head, _, told = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().lower().split("\r\n")
    assert first.split()[1] == str(status)
    given = dict(header.split(": ", 1) for header in lines)
    assert "transfer-encoding" not in given
    assert given["connection"] == "close"
    if method in ("HEAD", "OPTIONS"):
        assert told == b""
    elif "content-length" in given:
        assert len(told) == int(given["content-length"])
    if path == "/api/generate":
        *pieces, last = [json.loads(piece) for piece in told.splitlines()]
        assert "".join(piece["response"] for piece in pieces) == SCRIPT
        assert last["done"] is True


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
@pytest.mark.parametrize("hosts", ["", "Host: localhost\r\nHost: localhost\r\n", "Host: a\r\nhost: b\r\n"])
def test_a_request_of_http_1_1_names_one_host(native_server: Server, method: str, hosts: str):
    with socket.create_connection(("127.0.0.1", native_server.port), timeout=60) as line:
        line.sendall(f"{method} /api/tags HTTP/1.1\r\n{hosts}Content-Length: 0\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(1 << 16), b""))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("offer", ["h2c", "websocket", "TLS/1.0"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_an_offer_to_upgrade_is_declined_and_its_body_is_read(
    native_server: Server, offer: str, chunked: bool, whole: bool
):
    body = b'{"model": "talker", "prompt": "Hi", "stream": false}'
    framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if chunked else body
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    # As Java's HttpClient sends it.
    head = (
        f"POST /api/generate HTTP/1.1\r\nHost: localhost\r\n{length}\r\nUpgrade: {offer}\r\n"
        "Connection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABk\r\n\r\n"
    )
    last = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    requests = (head.encode() + framed) * 2 + last
    with socket.create_connection(("127.0.0.1", native_server.port), timeout=60) as line:
        for part in [requests] if whole else [requests[:70], requests[70 : len(head)], requests[len(head) :]]:
            line.sendall(part)
            time.sleep(0.05)
        answers = b"".join(iter(lambda: line.recv(1 << 16), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == 3
    assert answers.count(SCRIPT.encode()) == 2
    assert answers.endswith(b"Ollama is running")


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("connection", ["close, Upgrade", "Upgrade, close", "Upgrade, keep-alive"])
def test_an_offer_to_upgrade_on_a_closing_connection_is_declined_too(
    native_server: Server, connection: str, version: str
):
    body = b'{"model": "talker", "prompt": "Hi", "stream": false}'
    head = (
        f"POST /api/generate HTTP/{version}\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
        f"Connection: {connection}\r\nUpgrade: h2c\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", native_server.port), timeout=60) as line:
        line.sendall(head.encode() + body)
        answer = b""
        while not answer.endswith(b"}"):
            answer += line.recv(1 << 16)
    assert SCRIPT.encode() in answer


@pytest.mark.parametrize("path", ["//api/chat", "/api//chat", "///api//chat", "//v1/chat/completions"])
def test_slashes_in_a_row_are_one(http: httpx.Client, native_server: Server, path: str):
    body = {"model": "talker", "messages": [{"role": "user", "content": "Hi"}], "stream": False}
    answer = http.post(f"{native_server.url}{path}", json=body)
    assert answer.status_code == 200
    assert SCRIPT in answer.text


@pytest.mark.parametrize("path", ["//api/tags", "//v1/models", "//", "//openapi.json"])
def test_slashes_in_a_row_are_one_in_a_question(http: httpx.Client, native_server: Server, path: str):
    answer = http.get(f"{native_server.url}{path}")
    assert (answer.status_code, answer.history) == (200, [])


@pytest.mark.parametrize(
    ("method", "path", "status", "place"),
    [
        ("GET", "/v1/models/", 301, "/v1/models"),
        ("GET", "/v1/models/talker/", 301, "/v1/models/talker"),
        ("GET", "/api/tags/?a=b&c=%20d", 301, "/api/tags?a=b&c=%20d"),
        ("GET", "//api/tags//", 301, "/api/tags"),
        ("POST", "/api/chat/", 307, "/api/chat"),
        ("POST", "/v1/chat/completions/", 307, "/v1/chat/completions"),
        ("POST", "/v1/messages/", 307, "/v1/messages"),
        ("POST", "/v1/responses/", 307, "/v1/responses"),
    ],
)
def test_a_slash_at_the_end_is_redirected_on_the_same_host(
    http: httpx.Client, native_server: Server, method: str, path: str, status: int, place: str
):
    answer = http.request(method, native_server.url + path)
    assert (answer.status_code, answer.headers["location"]) == (status, place)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/nothing/", "/api/", "/v1/messages/nothing/", "/evil.com/"])
def test_a_path_that_is_not_there_leads_nowhere(http: httpx.Client, path: str):
    answer = http.get(path)
    assert answer.status_code == 404
    assert "location" not in answer.headers


def test_a_page_of_another_origin_may_follow_a_redirect(http: httpx.Client):
    answer = http.post("/api/chat/", headers={"Origin": "http://localhost:3000"})
    assert answer.status_code == 307
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
