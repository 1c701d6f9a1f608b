"""Which registries may be asked, and where they may send us.

The registry that a person names may be anywhere, this machine included. Where it leads (redirects, uploads,
token realms) is its own choice and must be on the internet; otherwise whoever runs a registry could make this
machine ask what only this machine reaches. Every request passes here, whatever it is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from puna.errors import PunaError


class NotAllowed(PunaError):
    """The registry, or a host that it names, may not be asked."""

    status = 403


@dataclass(frozen=True)
class Reach:
    """`registries`: hosts, with their port if it is not the usual one; "*" stands for any text.

    One that is written without "*" may also be sent to by others, wherever it is.
    """

    registries: tuple[str, ...] = ("*",)

    def check(self, host: str) -> None:
        """Raises NotAllowed unless models may be fetched from and sent to the registry at `host`."""
        if not any(fnmatchcase(host.lower(), allowed.lower()) for allowed in self.registries):
            raise NotAllowed(f"{host} is not among the registries that this server may use (PUNA_REGISTRIES)")

    def names(self, url: str) -> bool:
        """Whether the host of `url` is written out among the registries."""
        return any("*" not in allowed and place(url) == place(f"//{allowed}") for allowed in self.registries)


ANYWHERE = Reach()


def place(url: str) -> tuple[str, int]:
    """The host that a URL leads to, and its port. Raises PunaError for a port that is none."""
    try:
        parts = urlsplit(url)
        return parts.hostname or "", parts.port or {"http": 80}.get(parts.scheme, 443)
    except ValueError as error:
        raise PunaError(f"cannot use the address {url!r}: {error}") from None
