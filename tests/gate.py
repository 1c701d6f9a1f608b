"""What a registry that asks who you are has before it: tokens for whoever signs for them."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_ssh_public_key


@dataclass
class Gate:
    """Lets nobody in without a token, which whoever signs for it gets. A token is good `uses` times."""

    uses: int = 1 << 30
    realm: str = ""
    """Another place for tokens than the gate's own."""
    keys: list[str] = field(default_factory=list)
    """Public keys that asked for tokens."""
    nonces: set[str] = field(default_factory=set)
    scopes: list[list[str]] = field(default_factory=list)
    _left: dict[str, int] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def admits(self, header: str) -> bool:
        with self._guard:
            token = header.removeprefix("Bearer ")
            self._left[token] = self._left.get(token, 0) - 1
            return self._left[token] >= 0

    def token(self, url: str, authorization: str) -> str:
        """A token for the key that signed `url`. Raises what a wrong signature raises."""
        public, signed = authorization.split(":")
        key = load_ssh_public_key(f"ssh-ed25519 {public}".encode())
        assert isinstance(key, Ed25519PublicKey)
        nothing = base64.b64encode(hashlib.sha256(b"").hexdigest().encode()).decode()
        key.verify(base64.b64decode(signed), f"GET,{url},{nothing}".encode())
        asked = parse_qs(urlsplit(url).query)
        assert asked["service"] == ["puna tests"]
        assert int(asked["ts"][0]) > 1_600_000_000
        with self._guard:
            assert asked["nonce"][0] not in self.nonces
            self.nonces.add(asked["nonce"][0])
            self.scopes.append(asked["scope"])
            self.keys.append(public)
            token = secrets.token_hex(8)
            self._left[token] = self.uses
        return token
