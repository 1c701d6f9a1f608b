"""What asking for keys costs a request: the layer with its check, above the same application without."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from benchmarks.table import Row, median
from puna.access import Keyring, add_key, new_key
from puna.server.authentication import Authentication

REQUESTS = 5000
KEYS = 200


def rows() -> Iterator[Row]:
    """The check of a key with every limit, among many."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "keys.json"
        secrets = [_added(path, number) for number in range(KEYS)]
        layer = Authentication(_nothing, Keyring(path), exposed=False)
        scope = _scope(secrets[KEYS // 2])

        def once() -> float:
            return (asyncio.run(_took(layer, scope)) - asyncio.run(_took(_nothing, scope))) * 1e6

        yield Row("asking for a key, a request", median(once), 50, "µs", more_is_better=False)


def _added(path: Path, number: int) -> str:
    limits = {"requests_per_minute": 10**9, "tokens_per_day": 10**12, "concurrent": 100}
    key, secret = new_key(f"user {number}", models=["qwen3:*"], **limits)
    add_key(path, key)
    return secret


def _scope(secret: str) -> Scope:
    names = (
        "host",
        "user-agent",
        "accept",
        "accept-encoding",
        "connection",
        "content-type",
        "content-length",
    )
    headers = [(name.encode(), b"something of the usual length") for name in names]
    headers.append((b"authorization", f"Bearer {secret}".encode()))
    return {"type": "http", "method": "POST", "path": "/api/chat", "headers": headers}


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that has nothing to do."""


async def _took(app: ASGIApp, scope: Scope) -> float:
    """Seconds for one request, of many."""
    started = time.perf_counter()
    for _ in range(REQUESTS):
        await app(dict(scope), _receive, _send)
    return (time.perf_counter() - started) / REQUESTS


async def _receive() -> Message:
    return {"type": "http.disconnect"}


async def _send(message: Message) -> None:
    """To nobody."""
