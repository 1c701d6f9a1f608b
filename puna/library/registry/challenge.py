"""A registry's authentication challenge: `WWW-Authenticate: Bearer realm="…",service="…",scope="…"`."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from puna.errors import PunaError

_FIELD = re.compile(r'(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,]+))')
_NOTHING = base64.b64encode(hashlib.sha256(b"").hexdigest().encode()).decode()
_ALSO = {"registry.ollama.ai": "ollama.com", "hf.co": "huggingface.co"}
"""Registries whose token realm is on another of their hosts."""


@dataclass(frozen=True)
class Challenge:
    """The URL of tokens (`realm`), with the token's service and scope."""

    realm: str
    service: str = ""
    scope: str = ""

    @classmethod
    def parse(cls, header: str) -> Challenge | None:
        """The challenge in a header; None if it is not a Bearer challenge."""
        scheme, _, rest = header.strip().partition(" ")
        fields = {field[1].lower(): field[2] or field[3] or "" for field in _FIELD.finditer(rest)}
        if scheme.lower() != "bearer" or not fields.get("realm"):
            return None
        return cls(fields["realm"], fields.get("service", ""), fields.get("scope", ""))

    def url(self) -> str:
        """The token URL, with a nonce against replay."""
        parts = urlsplit(self.realm)
        fields = [
            *parse_qsl(parts.query, keep_blank_values=True),
            ("service", self.service),
            *(("scope", scope) for scope in self.scope.split(" ")),
            ("ts", str(int(time.time()))),
            ("nonce", base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()),
        ]
        return parts._replace(query=urlencode(sorted(fields, key=lambda field: field[0]))).geturl()

    def check_realm(self, base: str) -> None:
        """Raises PunaError if the realm is not on the registry's host (`base`), or downgrades to HTTP."""
        realm, registry = urlsplit(self.realm), urlsplit(base)
        if realm.netloc not in (registry.netloc, _ALSO.get(registry.netloc)):
            raise PunaError(f'realm host "{realm.netloc}" does not match original host "{registry.netloc}"')
        if realm.scheme not in ("https", registry.scheme):
            raise PunaError(f'realm "{self.realm}" is not reached over {registry.scheme}')


def signed_text(url: str) -> bytes:
    """The text to sign for a token (Ollama server/auth.go): method, URL, and the digest of the empty body."""
    return f"GET,{url},{_NOTHING}".encode()
