"""A little of the fuzzing, always the same; and bytes on the port that are no HTTP."""

from __future__ import annotations

import random
import socket
from pathlib import Path

import httpx

from tests.fuzz import crashes, mutated
from tests.running import serving

REQUEST = (
    b"POST /api/show HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b'Content-Length: 16\r\n\r\n{"model": "m"}  GET /api/version HTTP/1.1\r\nHost: localhost\r\n'
    b"Transfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"
)


def test_what_cannot_be_read_is_refused(tmp_path: Path):
    assert crashes(tmp_path, iter(range(150))) == []


def test_bytes_that_are_no_http_cost_their_connection_alone(tmp_path: Path):
    chance = random.Random(1)
    with serving(tmp_path / "models") as server, httpx.Client(base_url=server.url) as client:
        for _ in range(300):
            with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
                connection.sendall(mutated(REQUEST, chance))
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(1 << 16)
                assert answer == b"" or answer.startswith(b"HTTP/1.1 ")
        assert client.get("/api/version").status_code == 200
        assert "Traceback" not in "".join(server.log)
