"""A client that costs next to nothing, so that what is measured is the server: raw HTTP over a socket.

While the answer comes, arrivals are only noted; they are read as lines when all is there.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stream:
    """One streamed answer: when it was asked and when each line came (seconds), and the last line."""

    asked: float
    times: list[float] = field(default_factory=list)
    last: dict[str, Any] = field(default_factory=dict)

    @property
    def first(self) -> float:
        return self.times[0] - self.asked

    @property
    def rate(self) -> float:
        """Lines a second after the first one; the last line carries no token."""
        return (len(self.times) - 2) / (self.times[-2] - self.times[0])


class _Arrivals(asyncio.Protocol):
    """What came, and when. Each entry of `noted` is the bytes received so far and the time."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.noted: list[tuple[int, float]] = []
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data
        self.noted.append((len(self.data), time.perf_counter()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.over.set_result(None)


async def stream(port: int, path: str, body: dict[str, Any]) -> Stream:
    """POST `body` and note the arrival of every line of the answer."""
    data = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    transport, arrivals = await asyncio.get_running_loop().create_connection(_Arrivals, "127.0.0.1", port)
    result = Stream(time.perf_counter())
    transport.write(head.encode() + data)
    await arrivals.over
    _read(arrivals, result)
    if "error" in result.last:
        raise RuntimeError(result.last["error"])
    return result


def _read(arrivals: _Arrivals, result: Stream) -> None:
    """Split a chunked answer (RFC 9112 §7.1) of one line a chunk, and look up when each was complete."""
    data, noted = arrivals.data, iter(arrivals.noted)
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
        result.last = json.loads(data[end + 2 : at - 2])


def generate(port: int, model: str, prompt: str, **options: Any) -> Any:
    """A raw completion at temperature 0 as a coroutine that gives its Stream."""
    body = {
        "model": model,
        "prompt": prompt,
        "raw": True,
        "options": {"temperature": 0, **options},
    }
    return stream(port, "/api/generate", body)
