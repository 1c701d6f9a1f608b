"""Asking for files, and names that are looked up without a network."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from puna.errors import BadRequest
from puna.server.remote import Remote

CANNOT = "it must be a PNG, JPEG, WebP, GIF, WAV, MP3 or FLAC file of at most 20 MB"

FIELD = "messages[0].images[1]"


async def refused(remote: Remote, url: str) -> str:
    with pytest.raises(BadRequest) as error:
        await remote.fetch(url, FIELD)
    begin, said = f'invalid value for "{FIELD}": ', str(error.value)
    assert said.startswith(begin)
    return said.removeprefix(begin)


@contextmanager
def lookups(known: dict[str, list[str]]) -> Iterator[None]:
    """Names have these addresses and no others; nobody is asked for them."""
    real = socket.getaddrinfo

    def lookup(name: str, port: int, *rest: Any, **more: Any) -> list[Any]:
        if not known.keys() & {name} and not re.fullmatch(r"[0-9a-fx.:]+|localhost", name):
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [entry for address in known.get(name, [name]) for entry in real(address, port, *rest, **more)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", lookup)
        yield
