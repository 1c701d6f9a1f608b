"""Pulling from a real registry."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from puna.library import Layer, Library, Name, push
from puna.library.manifests import IMAGE
from puna.library.registry.client import Registry
from puna.library.registry.obtain import obtain
from puna.library.registry.repository import Repository
from puna.types import Progress
from tests.library.registry.conftest import DIGEST, LIMITS, MODEL, SIZE, WEIGHTS, contents, put, statuses
from tests.library.registry.pulling import pulled
from tests.registries import Line


def test_a_model_comes_as_it_was_pushed_and_is_announced_in_ollamas_words(
    hub: str, way: Line, library: Library, key: Path, tmp_path: Path
):
    steps = pulled(library, way.host, key)
    name = f"{way.host}/{MODEL}"
    there = library.open(name)
    assert statuses([step.status for step in steps]) == [
        "pulling manifest",
        *(f"pulling {layer.digest[7:19]}" for layer in there.layers),
        *statuses([step.status for step in steps])[4:5],  # the config
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    weights = [step for step in steps if step.digest == DIGEST]
    assert weights[-1] == Progress(f"pulling {DIGEST[7:19]}", digest=DIGEST, total=SIZE, completed=SIZE)
    assert [step.completed for step in weights] == sorted(step.completed for step in weights)
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS
    source = Library(tmp_path / "source")
    put(source, f"{way.host}/{MODEL}")
    assert contents(library, name) == contents(source, name)
    assert not list((library.root / "blobs").glob("*partial*"))
    assert len({asked.begin for asked in way.blobs()}) == 4, "parts of 1 MB were asked for"
    assert not key.exists(), "nobody asked for it"


def test_what_is_there_is_not_fetched_again(way: Line, library: Library, key: Path):
    pulled(library, way.host, key)
    before = way.sent()
    steps = pulled(library, way.host, key)
    assert way.sent() == before
    assert Progress(f"pulling {DIGEST[7:19]}", digest=DIGEST, total=SIZE, completed=SIZE) in steps


def test_a_blob_of_the_wrong_size_is_fetched_again(way: Line, library: Library, key: Path):
    pulled(library, way.host, key)
    library.blobs.path(DIGEST).write_bytes(b"damaged")
    pulled(library, way.host, key)
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS


def test_layers_that_only_the_old_model_had_are_removed(
    hub: str, library: Library, key: Path, tmp_path: Path
):
    name = f"{hub}/library/changing"
    source = Library(tmp_path / "source")
    removing = []
    for weights in (b"old", b"new"):
        put(source, name, weights)
        push(source, name, lambda step: None, insecure=True, key=key)
        steps = pulled(library, hub, key, "library/changing")
        removing.append("removing unused layers" in [step.status for step in steps])
    assert removing == [False, True]
    assert not library.blobs.path(f"sha256:{hashlib.sha256(b'old').hexdigest()}").exists()


def test_an_empty_blob_needs_no_request(way: Line, library: Library, key: Path):
    pulled(library, way.host, key)
    empty = f"sha256:{hashlib.sha256(b'').hexdigest()}"
    assert library.blobs.path(empty).read_bytes() == b""
    assert not [asked for asked in way.blobs() if empty in asked.path]


@pytest.mark.parametrize(
    "name", ["hf.co/user/repo:Q4_K_M", "huggingface.co/u/r", "modelscope.cn/u/r", "llama3"]
)
def test_every_hub_is_asked_in_the_same_way(name: str):
    parsed = Name.parse(name)
    where = Repository.of(parsed, insecure=False)
    path = f"{parsed.namespace}/{parsed.model}"
    assert where.manifest() == f"https://{parsed.host}/v2/{path}/manifests/{parsed.tag}"
    assert where.blob(DIGEST) == f"https://{parsed.host}/v2/{path}/blobs/{DIGEST}"


def test_a_layer_names_its_digest_in_any_spelling(hub: str, library: Library, key: Path):
    layer = Layer(IMAGE + "model", DIGEST.upper().replace("SHA256:", "sha256-"), SIZE)
    registry, repository = (
        Registry(f"http://{hub}", key, LIMITS),
        Repository(f"http://{hub}", "library/x", "latest"),
    )
    obtain(library, registry, repository.blob(layer.digest), layer, lambda step: None, LIMITS)
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS
