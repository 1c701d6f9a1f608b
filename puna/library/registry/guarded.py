"""urllib3 connections to public addresses only. Each name is resolved once, and the result checked."""

from __future__ import annotations

import socket
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from puna.library.addresses import is_public
from puna.library.registry.allowed import NotAllowed


class _Public(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        """Raises NotAllowed if any of the host's addresses is private, because a retry could use it."""
        name = self._dns_host
        try:
            entries = socket.getaddrinfo(name, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise NameResolutionError(name, self, socket.gaierror(str(error))) from error
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        check_public(name, addresses)
        try:
            for address in addresses[:-1]:
                self._dns_host = address
                try:
                    return super()._new_conn()
                except NewConnectionError:
                    continue
            self._dns_host = addresses[-1]
            return super()._new_conn()
        finally:
            # TLS verifies the name, not the address.
            self._dns_host = name


class _PublicTLS(HTTPSConnection, _Public):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls: Any = _Public


class _PoolTLS(HTTPSConnectionPool):
    ConnectionCls: Any = _PublicTLS


POOLS = {"http": _Pool, "https": _PoolTLS}
"""For a PoolManager's `pool_classes_by_scheme`."""


def check_host(name: str) -> None:
    """Raises NotAllowed if `name` resolves to a private address.

    For hosts that a proxy resolves. Names that are unknown here pass, because the proxy may know them.
    """
    try:
        entries = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return
    check_public(name, [str(entry[4][0]) for entry in entries])


def check_public(name: str, addresses: list[str]) -> None:
    """Raises NotAllowed unless all addresses of `name` are public."""
    for address in addresses:
        if not is_public(address):
            raise NotAllowed(
                f"the registry leads to {name}, which is not on the internet ({address}); if that is right, "
                "name it in PUNA_REGISTRIES"
            )
