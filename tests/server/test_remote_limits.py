"""How much is fetched, and how much at once."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest

from puna.server import remote as remote_module
from puna.server.remote import Remote
from tests.server.fetching import FIELD, refused
from tests.server.picture_hosts import MEDIA_MARKER, answering, host


async def test_so_many_are_on_their_way_at_once(near: Remote):
    release = threading.Event()

    def answer(connection: socket.socket, asked: bytes) -> None:
        release.wait(60)
        answering()(connection, asked)

    with host(answer) as there:
        fetches = [asyncio.create_task(near.fetch(there.url, FIELD)) for _ in range(20)]
        while len(there.asked) < remote_module.CONCURRENCY:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        most = there.connections
        release.set()
        assert await asyncio.gather(*fetches) == [MEDIA_MARKER] * 20
    assert most == remote_module.CONCURRENCY


async def test_a_request_has_so_many_pictures_and_the_next_has_as_many(
    near: Remote, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(remote_module, "MAX_URLS", 2)
    with host(answering()) as there:
        for _ in range(2):
            limited = near.for_request()
            assert [await limited.fetch(there.url, FIELD) for _ in range(2)] == [MEDIA_MARKER] * 2
            assert await refused(limited, there.url) == "a request may name at most 2 URLs"


async def test_a_requests_pictures_have_so_many_bytes_together(near: Remote, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(remote_module, "MAX_REQUEST_BYTES", 3 << 20)
    with host(answering(body=MEDIA_MARKER + bytes(1 << 20))) as there:
        limited = near.for_request()
        assert [len(await limited.fetch(there.url, FIELD)) for _ in range(2)]
        assert await refused(limited, there.url) == "the files of a request may have at most 3 MB together"
