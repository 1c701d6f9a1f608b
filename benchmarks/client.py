"""A client that costs next to nothing, so that what is measured is the server: raw HTTP over a socket.

While the answer comes, arrivals are only noted; it is taken apart when all is there.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any

_MOST = 8 << 20
"""Bytes of an answer."""


@dataclass
class Stream:
    """One streamed answer: when it was asked (seconds), its pieces as they were sent, and when each came."""

    asked: float
    times: list[float] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)

    @property
    def first(self) -> float:
        return self.times[0] - self.asked

    @property
    def rate(self) -> float:
        """Lines of NDJSON a second after the first one; the last line carries no token."""
        return (len(self.times) - 2) / (self.times[-2] - self.times[0])

    @property
    def last(self) -> dict[str, Any]:
        """The last line of NDJSON."""
        return json.loads(self.pieces[-1])


def stream(port: int, path: str, body: dict[str, Any]) -> Stream:
    """POST `body` and note the arrival of every piece of the answer. Raises RuntimeError for a refusal."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    answer, arrivals = bytearray(_MOST), []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        view, size = memoryview(answer), 0
        result = Stream(time.perf_counter())
        connection.sendall(head.encode() + data)
        while count := connection.recv_into(view[size:]):
            size += count
            arrivals.append((size, time.perf_counter()))
    _read(bytes(view[:size]), arrivals, result)
    if result.pieces[-1].startswith(b'{"error"'):
        raise RuntimeError(result.pieces[-1].decode())
    return result


def _read(data: bytes, arrivals: list[tuple[int, float]], result: Stream) -> None:
    """Split an answer into its chunks (RFC 9112 §7.1), and look up when each was complete."""
    if not data.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(data.decode())
    noted = iter(arrivals)
    at = data.index(b"\r\n\r\n") + 4
    received, when = next(noted)
    while True:
        end = data.index(b"\r\n", at)
        size = int(data[at:end], 16)
        if not size:
            return
        at = end + 2 + size + 2
        while received < at:
            received, when = next(noted)
        result.times.append(when)
        result.pieces.append(data[end + 2 : at - 2])


def generate(port: int, model: str, prompt: str, **options: Any) -> Stream:
    """A raw completion at temperature 0."""
    body = {
        "model": model,
        "prompt": prompt,
        "raw": True,
        "options": {"temperature": 0, **options},
    }
    return stream(port, "/api/generate", body)
