"""Limits which registries may be contacted, and where they may redirect.

The user's registry may be anywhere. Hosts that the registry names (redirects, uploads, token realms) must be
public, so that it cannot send requests into this machine's private network (SSRF).
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from puna.errors import PunaError


class NotAllowed(PunaError):
    """This server may not contact the registry, or a host that the registry names."""

    status = 403


@dataclass(frozen=True)
class AllowedHosts:
    """The hosts of `registries`, with their port if it is not the default; "*" matches any text.

    A host without "*" may also be a target of redirects, even in a private network.
    """

    registries: tuple[str, ...] = ("*",)

    def check(self, host: str) -> None:
        """Raises NotAllowed unless the registry at `host` may be used."""
        if not any(fnmatchcase(host.lower(), allowed.lower()) for allowed in self.registries):
            raise NotAllowed(f"{host} is not among the registries that this server may use (PUNA_REGISTRIES)")

    def names(self, url: str) -> bool:
        """Whether the host of `url` is listed without "*"."""
        return any(
            "*" not in allowed and host_and_port(url) == host_and_port(f"//{allowed}")
            for allowed in self.registries
        )


ANY_HOST = AllowedHosts()


def host_and_port(url: str) -> tuple[str, int]:
    """The host and port of a URL. Raises PunaError for an invalid port."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)
    except ValueError as error:
        raise PunaError(f"cannot use the address {url!r}: {error}") from None
