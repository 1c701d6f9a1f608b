"""Manifests: the blobs of a model, in Ollama's layout (`manifests/<host>/<namespace>/<model>/<tag>`)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec

from puna.errors import InvalidName
from puna.library.folders import Folders
from puna.library.names import Name

MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
READABLE = (MEDIA_TYPE, "application/vnd.oci.image.manifest.v1+json")
"""Media types of model manifests; others are indexes or foreign artifacts."""

CONFIG = "application/vnd.docker.container.image.v1+json"
IMAGE = "application/vnd.ollama.image."
"""The prefix of layers' media types, before "model", "template", "params", …"""

_FIELDS = {"media_type": "mediaType", "source": "from"}


class Layer(msgspec.Struct, frozen=True, omit_defaults=True, rename=_FIELDS):
    """A blob in a manifest. `digest` is "sha256:<hex>", `size` in bytes, `source` the model of origin."""

    media_type: str
    digest: Annotated[str, msgspec.Meta(pattern=r"^(sha256[:-][0-9a-fA-F]{64})?\Z")]
    size: int
    source: str = ""
    name: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A Docker image manifest, version 2, as Ollama writes it (manifest/manifest.go)."""

    schema_version: int = 2
    media_type: str = MEDIA_TYPE
    config: Layer = Layer(CONFIG, "", 0)
    layers: list[Layer] | None

    @property
    def blobs(self) -> tuple[Layer, ...]:
        """Every blob it names: the config, if any, and the layers."""
        return tuple(layer for layer in (self.config, *(self.layers or ())) if layer.digest)


def encode(config: Layer, layers: Sequence[Layer]) -> bytes:
    """A manifest in its file format, with a final newline."""
    return msgspec.json.encode(Manifest(config=config, layers=list(layers))) + b"\n"


_decoder = msgspec.json.Decoder(Manifest)
decode = _decoder.decode
"""Raises msgspec.DecodeError."""


def list_manifests(folders: Folders, root: Path) -> Iterator[tuple[Name | None, str]]:
    """Every manifest below `root`: the model's name and the path. Skips other files.

    For an unreadable folder, the name is None.
    """
    unreadable: list[str] = []

    def entries(folder: str) -> list[tuple[str, bool]]:
        try:
            return folders.entries(folder)
        except OSError:
            unreadable.append(folder)
            return []

    for host, _ in entries(str(root)):
        for namespace, _ in entries(f"{root}/{host}"):
            for model, _ in entries(f"{root}/{host}/{namespace}"):
                for tag, is_file in entries(f"{root}/{host}/{namespace}/{model}"):
                    path = f"{host}/{namespace}/{model}/{tag}"
                    with suppress(InvalidName):
                        if is_file:
                            yield Name.from_path(path), f"{root}/{path}"
    for folder in unreadable:
        yield None, folder


def referenced_digests(folders: Folders, root: Path) -> set[str] | None:
    """The digests in the manifests below `root`; None if one of them is unreadable."""
    digests: set[str] = set()
    for name, path in list_manifests(folders, root):
        try:
            if name is None:
                return None
            digests.update(layer.digest for layer in decode(Path(path).read_bytes()).blobs)
        except (OSError, msgspec.DecodeError):
            if os.path.lexists(path):  # Otherwise it was removed just now.
                return None
    return digests


def resolve_case(folders: Folders, root: Path, name: Name) -> Name:
    """`name` in the case of the stored manifests below `root`; parts without a manifest stay unchanged."""
    _, parts = _resolve_case(folders, str(root), name.path().parts)
    return Name(*parts)


def _resolve_case(folders: Folders, folder: str, parts: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """The spelling with the most existing leading parts below `folder`, preceded by their number."""
    best = (0, parts)
    if not parts:
        return best
    try:
        entries = folders.entries(folder)
    except OSError:
        return best
    same = [entry for entry, _ in entries if entry.isascii() and entry.lower() == parts[0].lower()]
    for spelling in sorted(same, key=lambda spelling: spelling != parts[0]):
        depth, rest = _resolve_case(folders, f"{folder}/{spelling}", parts[1:])
        if depth + 1 > best[0]:
            best = (depth + 1, (spelling, *rest))
    return best
