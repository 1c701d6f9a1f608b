"""Manifests: the blobs of a model, in Ollama's layout (`manifests/<host>/<namespace>/<model>/<tag>`)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from puna.library.names import Name
from puna.types import InvalidName

MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v2+json"
CONFIG = "application/vnd.docker.container.image.v1+json"
IMAGE = "application/vnd.ollama.image."
"""What the media types of layers begin with; "model", "template", "params", … follow."""

_FIELDS = {"media_type": "mediaType", "source": "from"}


class Layer(msgspec.Struct, frozen=True, omit_defaults=True, rename=_FIELDS):
    """A blob in a manifest. `digest` is "sha256:<hex>", `size` in bytes, `source` the model it came from."""

    media_type: str
    digest: Annotated[str, msgspec.Meta(pattern=r"^(sha256[:-][0-9a-fA-F]{64})?\Z")]
    size: int
    source: str = ""
    name: str = ""


class Manifest(msgspec.Struct, frozen=True, rename="camel"):
    """A Docker image manifest, version 2, as Ollama writes it (manifest/manifest.go)."""

    schema_version: int
    media_type: str
    config: Layer
    layers: list[Layer] | None = None

    @property
    def blobs(self) -> tuple[Layer, ...]:
        """Every blob it names: the config, if there is one, and the layers."""
        return tuple(layer for layer in (self.config, *(self.layers or ())) if layer.digest)


def encode(config: Layer, layers: Sequence[Layer]) -> bytes:
    return msgspec.json.encode(Manifest(2, MEDIA_TYPE, config, list(layers))) + b"\n"


_decoder = msgspec.json.Decoder(Manifest)
decode = _decoder.decode
"""Raises msgspec.DecodeError."""


def stored(folder: Path) -> Iterator[tuple[Name, os.DirEntry[str]]]:
    """Every name with a manifest below `folder`; what is not named like one is passed over."""
    for host in _entries(folder):
        for namespace in _entries(host):
            for model in _entries(namespace):
                for tag in _entries(model):
                    path = f"{host.name}/{namespace.name}/{model.name}/{tag.name}"
                    try:
                        name = Name.from_path(path)
                    except InvalidName:
                        continue
                    if tag.is_file():
                        yield name, tag


def spelled(folder: Path, name: Name) -> Name:
    """`name` with each part's letters in the case in which it is stored below `folder`, as far as it is."""
    _, parts = _spelled(folder, name.path().parts)
    return Name(*parts)


def _spelled(folder: Path, parts: tuple[str, ...]) -> tuple[int, tuple[str, ...]]:
    """How many leading parts exist below `folder` in the best spelling, and that spelling."""
    best = (0, parts)
    if not parts:
        return best
    same = [e.name for e in _entries(folder) if e.name.isascii() and e.name.lower() == parts[0].lower()]
    for spelling in sorted(same, key=lambda spelling: spelling != parts[0]):
        depth, rest = _spelled(folder / spelling, parts[1:])
        if depth + 1 > best[0]:
            best = (depth + 1, (spelling, *rest))
    return best


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """What is in `folder`; nothing when it is missing, no folder, or not ours to read."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
