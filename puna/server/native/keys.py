"""GET, POST and DELETE under /api/keys: manage keys. Needs the scope `admin`."""

from __future__ import annotations

from asyncio import to_thread
from datetime import datetime, timezone
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from puna.access import Key, KeyUsage, Scope, new_key
from puna.errors import BadRequest
from puna.server.body import convert, decode_body
from puna.server.json_response import json_response
from puna.server.services import services_of


class KeyRequest(msgspec.Struct, kw_only=True):
    """A key to create. 0, an empty list or a missing field means no limit."""

    name: str
    scopes: list[Scope] = msgspec.field(default_factory=lambda: ["infer"])
    models: list[str] = []
    expires: datetime | None = None
    requests_per_minute: int = 0
    tokens_per_day: int = 0
    concurrent: int = 0
    share: str = ""


class KeyListed(msgspec.Struct, kw_only=True):
    """A key without its hash. Moments are RFC 3339."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    models: tuple[str, ...]
    created: datetime
    expires: datetime | None
    requests_per_minute: int
    tokens_per_day: int
    concurrent: int
    share: str
    last_used: datetime | None
    tokens_today: int


class KeyMade(msgspec.Struct):
    """`secret` is what a client sends. It is shown only here."""

    key: KeyListed
    secret: str


class KeysListed(msgspec.Struct):
    """The answer of GET /api/keys, which only Puna has."""

    keys: list[KeyListed]


async def list_keys(request: Request) -> Response:
    """Every key with its usage, without secrets and hashes."""
    found = await to_thread(services_of(request).keyring.keys_and_usage)
    return json_response(KeysListed([_entry(key, used) for key, used in found]))


async def create(request: Request) -> Response:
    """Makes a key. Only this answer has its secret. Raises BadRequest for an unknown field."""
    given = await decode_body(request, dict[str, Any])
    # An unknown field may be a misspelled limit.
    for unknown in given.keys() - set(KeyRequest.__struct_fields__):
        raise BadRequest(f'unknown field "{unknown}"', unknown)
    wanted = msgspec.structs.asdict(convert(given, KeyRequest))
    key, secret = new_key(wanted.pop("name"), **wanted)
    await to_thread(services_of(request).keyring.add, key)
    return json_response(KeyMade(_entry(key, KeyUsage()), secret))


async def revoke(request: Request) -> Response:
    """Removes a key by its name or id; its later requests are refused."""
    await to_thread(services_of(request).keyring.remove, request.path_params["key"])
    return Response()


def _entry(key: Key, used: KeyUsage) -> KeyListed:
    now = datetime.now(timezone.utc)
    kept = msgspec.structs.asdict(key)
    del kept["hash"]
    return KeyListed(
        **kept,
        last_used=datetime.fromtimestamp(used.last, timezone.utc) if used.last else None,
        tokens_today=used.on(int(now.timestamp()) // 86_400),
    )


routes = [
    Route("/api/keys", list_keys),
    Route("/api/keys", create, methods=["POST"]),
    Route("/api/keys/{key}", revoke, methods=["DELETE"]),
]
