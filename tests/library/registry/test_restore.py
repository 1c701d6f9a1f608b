"""A damaged model gets from its registry what it misses, and nothing else changes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from puna.errors import NotFound, PunaError
from puna.library import Layer, Library, Name, check, pull, push, repair, restore
from puna.library.manifests import IMAGE
from puna.types import Progress
from tests.library.registry.conftest import DIGEST, LIMITS, MODEL, SIZE, WEIGHTS, contents, put
from tests.registries import Fault, Line


def restored(library: Library, name: str, key: Path) -> list[Progress]:
    steps: list[Progress] = []
    restore(library, name, steps.append, insecure=True, key=key, limits=LIMITS)
    return steps


def mend(library: Library, found: Name, key: Path) -> None:
    restored(library, str(found), key)


@pytest.fixture
def name(way: Line, library: Library, key: Path) -> str:
    """A model that was pulled, over a line that nobody asked anything since."""
    name = f"{way.host}/{MODEL}"
    pull(library, name, lambda step: None, insecure=True, key=key, limits=LIMITS)
    way.asked.clear()
    return name


def test_only_what_is_missing_is_fetched(way: Line, library: Library, key: Path, name: str):
    before = contents(library, name)
    library.blobs.path(DIGEST).unlink()
    steps = restored(library, name, key)
    assert contents(library, name) == before
    assert steps[-1] == Progress(f"pulling {DIGEST[7:19]}", digest=DIGEST, total=SIZE, completed=SIZE)
    assert way.sent() == SIZE
    assert not [asked for asked in way.asked if "/manifests/" in asked.path]


def test_a_whole_model_asks_nobody(way: Line, library: Library, key: Path, name: str):
    assert restored(library, name, key) == []
    assert way.asked == []


@pytest.mark.parametrize("content", [b"{", b""])
def test_a_manifest_that_cannot_be_read_is_pulled(
    way: Line, library: Library, key: Path, name: str, content: bytes
):
    before = contents(library, name)
    Path(f"{library.root}/manifests/{library.resolve(name).path()}").write_bytes(content)
    assert restored(library, name, key)[-1].status == "success"
    assert contents(library, name) == before
    assert way.sent() == 0, "its blobs were there"


def test_a_model_made_here_keeps_its_manifest(way: Line, library: Library, key: Path, name: str):
    """Another model has its name in the registry; its weights come from the one it was made of."""
    weights, *_ = library.open(name).layers
    mine = Name.parse(f"{way.host}/library/mine")
    system = Layer(IMAGE + "system", *library.blobs.add([b"My own words."]))
    model = Layer(weights.media_type, weights.digest, weights.size, name)
    library.write_manifest(mine, {"model_format": "gguf"}, [model, system])
    before = contents(library, str(mine))
    other = Library(library.root.parent / "other")
    put(other, str(mine), b"something else")
    push(other, str(mine), lambda step: None, insecure=True, key=key, limits=LIMITS)
    library.blobs.path(DIGEST).unlink()
    restored(library, str(mine), key)
    assert contents(library, str(mine)) == before


def test_a_blob_that_no_registry_has_is_named(way: Line, library: Library, key: Path, name: str):
    lost, size = library.blobs.add([random.randbytes(100)])
    mine = Name.parse(f"{way.host}/library/mine")
    library.write_manifest(mine, {"model_format": "gguf"}, [Layer(IMAGE + "model", lost, size, name)])
    library.blobs.path(lost).unlink()
    with pytest.raises(NotFound, match=f"http://{way.host}/v2/library/x has no {lost}"):
        restored(library, str(mine), key)
    assert {asked.path for asked in way.asked} == {
        f"/v2/library/{model}/blobs/{lost}" for model in ("x", "mine")
    }


def test_a_registry_that_is_not_there_is_given_up_at_once(library: Library, key: Path):
    put(library, "127.0.0.1:9/library/x")
    library.blobs.path(DIGEST).unlink()
    with pytest.raises(PunaError, match=r"cannot reach 127\.0\.0\.1:9"):
        restored(library, "127.0.0.1:9/library/x", key)


def test_a_doctor_mends_damage_of_every_kind(way: Line, library: Library, key: Path, name: str):
    before = contents(library, name)
    library.blobs.path(DIGEST).write_bytes(bytes(SIZE))
    library.blobs.path(library.open(name).layers[1].digest).unlink()
    findings = check(library, lambda step: None)
    assert {finding.kind for finding in findings} == {"damaged", "missing"}
    outcomes = repair(library, findings, lambda found: mend(library, found, key))
    assert [(outcome.fixed, outcome.note) for outcome in outcomes] == [(True, "pulled again")] * 2
    assert contents(library, name) == before
    # These weights are no GGUF file; else all is well.
    assert {finding.kind for finding in check(library, lambda step: None)} == {"header"}


def test_a_doctor_takes_no_wrong_bytes_for_the_lost_ones(way: Line, library: Library, key: Path, name: str):
    library.blobs.path(DIGEST).write_bytes(WEIGHTS[:-1] + b"?")
    way.fault = lambda asked: Fault("corrupt", after=5) if asked.blob else None
    findings = check(library, lambda step: None)
    (outcome,) = repair(library, findings, lambda found: mend(library, found, key))
    assert not outcome.fixed
    assert outcome.note.startswith("removed; digest mismatch, file must be downloaded again")
    assert not library.blobs.path(DIGEST).exists()
