"""The scope that each path requires."""

from __future__ import annotations

from puna.access import Scope

_PUBLIC = {"/", "/api/version", "/docs", "/openapi.json", "/healthz", "/readyz", "/health", "/ui"}
"""Paths that reveal nothing about models or users. The page must load before it can ask for a key."""

_MANAGEMENT = {"/api/pull", "/api/push", "/api/create", "/api/copy", "/api/delete"}
_KEYS = "/api/keys"
_METRICS = "/metrics"
"""Shows all models and all users."""


def required_scope(path: str) -> Scope | None:
    """The scope that `path` requires; None if it is public."""
    if path in _PUBLIC or path.startswith("/ui/"):
        return None
    if path == _KEYS or path.startswith(f"{_KEYS}/"):
        return "admin"
    return "manage" if changes_models(path) or path == _METRICS else "infer"


def changes_models(path: str) -> bool:
    """Whether `path` changes the models on this machine."""
    return path in _MANAGEMENT or path.startswith("/api/blobs/")
