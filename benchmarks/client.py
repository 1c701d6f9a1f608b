"""A client that costs next to nothing, so that what is measured is the server: raw HTTP over a socket."""

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

    @property
    def gap(self) -> float:
        return max(b - a for a, b in zip(self.times, self.times[1:], strict=False))


async def stream(port: int, path: str, body: dict[str, Any]) -> Stream:
    """POST `body` and note the arrival of every line of the answer."""
    data = json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {len(data)}\r\n\r\n"
    )
    result = Stream(time.perf_counter())
    writer.write(head.encode() + data)
    await reader.readuntil(b"\r\n\r\n")
    line = b""
    while True:
        size = int(await reader.readline(), 16)
        if not size:
            break
        line = await reader.readexactly(size + 2)
        result.times.append(time.perf_counter())
    result.last = json.loads(line)
    writer.close()
    if "error" in result.last:
        raise RuntimeError(result.last["error"])
    return result


def generate(port: int, model: str, prompt: str, **options: Any) -> Any:
    """A raw completion at temperature 0 as a coroutine that gives its Stream."""
    body = {
        "model": model,
        "prompt": prompt,
        "raw": True,
        "options": {"temperature": 0, **options},
    }
    return stream(port, "/api/generate", body)
