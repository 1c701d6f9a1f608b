"""Model names: `host/namespace/model:tag`, with Ollama's rules and defaults (types/model/name.go)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from puna.errors import InvalidName

DEFAULT_HOST = "registry.ollama.ai"
DEFAULT_NAMESPACE = "library"
DEFAULT_TAG = "latest"

_HOST = r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,349}"
_NAMESPACE = r"[A-Za-z0-9_][A-Za-z0-9_-]{0,79}"
_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,79}"
_WRITTEN = re.compile(
    rf"(?:(?:(?:https?://)?(?P<host>{_HOST})/)?(?P<namespace>{_NAMESPACE})/)?(?P<model>{_PART})(?::(?P<tag>{_PART}))?"
)
_STORED = re.compile(rf"({_HOST})/({_NAMESPACE})/({_PART})/({_PART})")


@dataclass(frozen=True)
class Name:
    """A complete, valid model name, from `parse` or `from_path`. Its path stays inside its folder."""

    host: str
    namespace: str
    model: str
    tag: str

    @classmethod
    def parse(cls, text: str) -> Name:
        """Parse a name that a user wrote; missing parts get their defaults. Raises InvalidName."""
        match = _WRITTEN.fullmatch(text)
        if match is None:
            raise InvalidName("invalid model name")
        return cls(
            host=match["host"] or DEFAULT_HOST,
            namespace=match["namespace"] or DEFAULT_NAMESPACE,
            model=match["model"],
            tag=match["tag"] or DEFAULT_TAG,
        )

    @classmethod
    @lru_cache(maxsize=4096)  # Cached, because every listing parses every name again.
    def from_path(cls, path: str) -> Name:
        """The name stored at `path`, which is relative to the manifests. Raises InvalidName."""
        match = _STORED.fullmatch(path)
        if match is None:
            raise InvalidName("invalid model name")
        return cls(*match.groups())

    def path(self) -> PurePosixPath:
        """The path of its manifest below the manifests' folder: `host/namespace/model/tag`."""
        return PurePosixPath(self.host, self.namespace, self.model, self.tag)

    def display(self) -> str:
        """The shortest text that parses to this name. It always has the tag."""
        short = f"{self.model}:{self.tag}"
        if self.host.lower() != DEFAULT_HOST:
            return f"{self.host}/{self.namespace}/{short}"
        if self.namespace.lower() != DEFAULT_NAMESPACE:
            return f"{self.namespace}/{short}"
        return short

    def __str__(self) -> str:
        return f"{self.host}/{self.namespace}/{self.model}:{self.tag}"
