"""A registry with a model in it, and a bad line to it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from puna.library import Layer, Library, Name, push
from puna.library.manifests import IMAGE
from puna.library.registry import TransferLimits
from tests.registries import Line, line, registry

MEGABYTE = 1 << 20
SIZE = 3 * MEGABYTE + 12345
LIMITS = TransferLimits(
    part=MEGABYTE, streams=4, chunk=MEGABYTE, stall=5, connect=15, attempts=4, back_off=0.01
)

WEIGHTS = random.Random(7).randbytes(SIZE)
DIGEST = f"sha256:{hashlib.sha256(WEIGHTS).hexdigest()}"
MODEL = "library/x:latest"


def put(library: Library, name: str, weights: bytes = WEIGHTS) -> None:
    """A model with these weights; what they hold matters to nobody here."""
    layers = [
        Layer(IMAGE + "model", *library.blobs.add([weights])),
        Layer(IMAGE + "template", *library.blobs.add([b"{{ .Prompt }}"])),
        Layer(IMAGE + "system", *library.blobs.add([b""])),
    ]
    library.write_manifest(Name.parse(name), {"model_format": "gguf"}, layers)


def contents(library: Library, name: str) -> dict[str, bytes]:
    """The manifest and the blobs of a model, by where they lie."""
    found = library.resolve(name)
    manifest = Path(f"{library.root}/manifests/{found.path()}").read_bytes()
    blobs = {
        layer.digest: library.blobs.path(layer.digest).read_bytes() for layer in library.open(name).layers
    }
    return {"manifest": manifest, **blobs}


def statuses(steps: list[str]) -> list[str]:
    """Each status once, in order."""
    return list(dict.fromkeys(steps))


@pytest.fixture(scope="session")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry that has `library/x:latest`."""
    folder = tmp_path_factory.mktemp("registry")
    with registry(folder) as host:
        library = Library(folder / "source")
        put(library, f"{host}/{MODEL}")
        push(library, f"{host}/{MODEL}", lambda step: None, insecure=True, key=folder / "key")
        yield host


@pytest.fixture
def way(hub: str) -> Iterator[Line]:
    """The line to it."""
    with line(hub) as found:
        yield found


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "my models")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "home" / ".ollama" / "id_ed25519"
