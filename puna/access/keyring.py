"""The keys that a server accepts: those in its file, reloaded when it changes."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import datetime, timezone
from pathlib import Path

from puna.access.account import Account
from puna.access.caller import Caller
from puna.access.errors import Unauthorized
from puna.access.key import Key, id_of
from puna.access.keyfile import add_key, read_keys, remove_key
from puna.access.usage import KeyUsage, add_usage, read_usage, usage_path
from puna.errors import PunaError

_log = logging.getLogger(__name__)

_Stamp = tuple[int, int, int]
"""A file's inode, time and size, which change when it is replaced."""

_HINT = "send a key as Authorization: Bearer or x-api-key; Ollama's clients take it from OLLAMA_API_KEY"


class Keyring:
    """Reloads the file when it changes: a key made or revoked counts from the next request on."""

    def __init__(self, path: Path) -> None:
        """Raises PunaError when the file is invalid."""
        self._path = path
        self._stamp = _stamp(path)
        self._keys = {key.id: key for key in read_keys(path)}
        self._accounts: dict[str, Account] = {}
        self._usage = read_usage(usage_path(path))
        self._requires_key = self._stamp is not None

    @property
    def requires_key(self) -> bool:
        """Whether requests need a key: the file exists, or has existed since the server started."""
        self._refresh()
        return self._requires_key

    def find(self, secret: str) -> Key:
        """The key with this secret. Raises Unauthorized."""
        if not secret:
            raise Unauthorized(f"this server asks for a key: {_HINT}")
        key = self._keys.get(id_of(secret))
        if key is None or not key.matches(secret):
            raise Unauthorized(f"this server does not know that key: {_HINT}")
        if key.expired(datetime.now(timezone.utc)):
            raise Unauthorized("your key has expired")
        return key

    def admit(self, key: Key) -> Caller:
        """The caller with `key`; its request counts as running until the caller is left. Raises TooMany."""
        account = self._account(key)
        account.begin(key)
        return Caller(key, account)

    def _account(self, key: Key) -> Account:
        if key.id not in self._accounts:
            self._accounts[key.id] = Account()
            self._accounts[key.id].saved = self._usage.get(key.id, KeyUsage())
        return self._accounts[key.id]

    def keys_and_usage(self) -> list[tuple[Key, KeyUsage]]:
        """Every key and its use."""
        self._refresh()
        return [(key, self._account(key).usage) for key in list(self._keys.values())]

    def add(self, key: Key) -> None:
        """Add `key` to the file. Raises BadRequest when its name is taken, PunaError."""
        add_key(self._path, key)

    def remove(self, name_or_id: str) -> Key:
        """Remove the key with this name or id from the file. Raises NotFound, PunaError."""
        return remove_key(self._path, name_or_id)

    async def save(self) -> None:
        """Save the use since the last call. After a PunaError, the next call saves it."""
        unsaved = {id: account.take() for id, account in self._accounts.items() if account.unsaved.last}
        if not unsaved:
            return
        path, ids = usage_path(self._path), set(self._keys)
        try:
            self._usage = await asyncio.to_thread(add_usage, path, unsaved, ids)
        except PunaError:
            for id, usage in unsaved.items():
                self._accounts[id].saved = self._usage.get(id, KeyUsage())
                self._accounts[id].unsaved.add(usage)
            raise
        for id in self._usage.keys() & self._accounts.keys():
            self._accounts[id].saved = self._usage[id]

    def _refresh(self) -> None:
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        self._stamp = stamp
        if stamp is None:
            _log.warning("%s is gone, so no key is accepted; restart the server to serve without", self._path)
            self._keys = {}
            return
        self._requires_key = True
        try:
            self._keys = {key.id: key for key in read_keys(self._path)}
        except PunaError as error:
            _log.error("%s; the keys read before stay valid", error)


def _stamp(path: Path) -> _Stamp | None:
    """None when there is no file."""
    try:
        state = os.stat(path)
    except FileNotFoundError:
        return None
    except OSError:
        return 0, 0, 0
    return state.st_ino, state.st_mtime_ns, state.st_size
