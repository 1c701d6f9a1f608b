"""Authenticates a request by its key, and sets `puna.access.caller()`.

The page and the version need no key. Without a keys file nothing needs one. But then a server that other
machines reach refuses to change models, unless PUNA_OPEN is set.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.types import ASGIApp, Receive, Scope, Send

from puna.access import AccessDenied, Caller, Forbidden, Keyring
from puna.errors import PunaError
from puna.server.headers import with_headers
from puna.server.refusals import refuse
from puna.server.scopes import changes_models, required_scope

CLOSED = (
    "this server is reached from other machines and asks for no key, so nobody may change its models: "
    "make a key (puna keys create NAME --scope infer --scope manage), or set PUNA_OPEN=1"
)

FIRST = "the first key is made on the server's own machine: puna keys create NAME --scope admin"

_OURS = "puna_"
_WRITE_EVERY = 2.0
"""Seconds between writes of the keys' usage."""

_log = logging.getLogger(__name__)


class Authentication:
    """ASGI middleware. Without keys, requests that change models are refused when the server is `exposed`."""

    def __init__(self, app: ASGIApp, keyring: Keyring, *, exposed: bool) -> None:
        self._app = app
        self._keyring = keyring
        self._exposed = exposed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            who = self._admit(scope)
        except AccessDenied as error:
            if error.status == 401:
                send = with_headers(send, (b"www-authenticate", b"Bearer"))
            await refuse(error, scope, receive, send)
            return
        with who:
            await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> Caller:
        """The caller. Raises AccessDenied."""
        path = scope["path"]
        wanted = required_scope(path)
        nobody = Caller(address=scope["client"][0] if scope.get("client") else "")
        if wanted is None:
            return nobody
        if not self._keyring.requires_key:
            if wanted == "admin":
                raise Forbidden(FIRST)
            if self._exposed and changes_models(path):
                raise Forbidden(CLOSED)
            return nobody
        key = self._keyring.find(_secret(scope["headers"]))
        scope["caller"] = key.name
        if not key.has(wanted):
            raise Forbidden(f'your key "{key.name}" lacks the scope "{wanted}"')
        return self._keyring.admit(key)


def _secret(headers: list[tuple[bytes, bytes]]) -> str:
    """The key in the headers. One with our prefix wins, because some clients also send a placeholder."""
    found = ""
    for name, value in headers:
        if name == b"authorization":
            scheme, _, given = value.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                continue
        elif name == b"x-api-key":
            given = value.decode("latin-1")
        else:
            continue
        given = given.strip()
        if given.startswith(_OURS):
            return given
        found = found or given
    return found


@asynccontextmanager
async def saving_usage(keyring: Keyring) -> AsyncIterator[None]:
    """Saves the keys' usage at intervals, and at the end."""

    async def write() -> None:
        while True:
            await asyncio.sleep(_WRITE_EVERY)
            await _save(keyring)

    writer = asyncio.create_task(write())
    try:
        yield
    finally:
        writer.cancel()
        await asyncio.wait([writer])
        await _save(keyring)


async def _save(keyring: Keyring) -> None:
    try:
        await keyring.save()
    except PunaError as error:
        _log.warning("the usage of keys cannot be saved: %s", error)
