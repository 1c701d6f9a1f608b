"""Which scope a path needs, and which paths change the models on this machine."""

from __future__ import annotations

from puna.access import Scope

_PUBLIC = {"/", "/api/version", "/docs", "/openapi.json", "/healthz", "/readyz", "/ui"}
"""These reveal nothing about models or users; the page must load before it can ask for a key."""

_MANAGEMENT = {"/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete"}
_KEYS = "/api/keys"
_METRICS = "/metrics"
"""It shows all models and all users."""


def needed(path: str) -> Scope | None:
    """The scope that a request for `path` needs; None when anybody may ask for it."""
    if path in _PUBLIC or path.startswith("/ui/"):
        return None
    if path == _KEYS or path.startswith(f"{_KEYS}/"):
        return "admin"
    return "manage" if manages(path) or path == _METRICS else "infer"


def manages(path: str) -> bool:
    """Whether `path` changes the models on this machine."""
    return path in _MANAGEMENT or path.startswith("/api/blobs/")
