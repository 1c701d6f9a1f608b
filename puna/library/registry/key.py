"""The ed25519 key that identifies a user to registries: `~/.ollama/id_ed25519`, in OpenSSH's format."""

from __future__ import annotations

import base64
import os
import secrets
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from puna.errors import PunaError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def default_key() -> Path:
    """Ollama's own key, so that registries see the same user."""
    return Path.home() / ".ollama" / "id_ed25519"


def signature(path: Path, content: bytes) -> str:
    """`<public key>:<signature>` of `content`, both in base64 (Ollama auth/auth.go, `Sign`).

    Creates a missing key. Raises PunaError if that fails or the key is not an ed25519 key.
    """
    try:
        if not path.exists():
            _make(path)
        key = _parse(path.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise PunaError(f"cannot use the key {path}: {error}") from error
    public = _public(key).split(b" ")[1].decode()
    return f"{public}:{base64.b64encode(key.sign(content)).decode()}"


def _make(path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, form.NoEncryption())
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{secrets.token_hex(8)}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(private)
        _publish(temporary, path)
    except FileExistsError:
        return
    finally:
        with suppress(OSError):
            temporary.unlink()
    path.with_name(f"{path.name}.pub").write_bytes(_public(key) + b"\n")


def _publish(temporary: Path, path: Path) -> None:
    try:
        # Unlike a rename, a link cannot replace a key that another process just made.
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # A file system without links.
        os.replace(temporary, path)


@lru_cache(maxsize=4)
def _parse(content: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_ssh_private_key

    key = load_ssh_private_key(content, password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is not an ed25519 key")
    return key


def _public(key: Ed25519PrivateKey) -> bytes:
    """ "ssh-ed25519 <base64>"."""
    from cryptography.hazmat.primitives import serialization as form

    return key.public_key().public_bytes(form.Encoding.OpenSSH, form.PublicFormat.OpenSSH)
