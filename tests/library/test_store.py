"""Models written, listed, copied and removed."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from puna.errors import BadRequest, LoadFailed, NotFound, PunaError
from puna.library import Layer, Library, Name
from tests.library.stores import IMAGE, blobs, displayed, manifest_path, put


def test_a_manifest_is_written_as_ollama_writes_it(library: Library) -> None:
    model = put(library, "someone/Model:v1", system="Be brief.")
    path = library.root / "manifests" / "registry.ollama.ai" / "someone" / "Model" / "v1"
    content = path.read_bytes()
    manifest = json.loads(content)
    assert content.endswith(b"\n")
    assert list(manifest) == ["schemaVersion", "mediaType", "config", "layers"]
    assert manifest["schemaVersion"] == 2
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"
    assert manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json"
    weights = hashlib.sha256(b"weights").hexdigest()
    assert manifest["layers"] == [
        {"mediaType": IMAGE + "model", "digest": f"sha256:{weights}", "size": 7},
        {
            "mediaType": IMAGE + "system",
            "digest": f"sha256:{hashlib.sha256(b'Be brief.').hexdigest()}",
            "size": 9,
        },
    ]
    assert model.digest == hashlib.sha256(content).hexdigest()
    assert model.size == 7 + 9 + manifest["config"]["size"]
    assert model.weights == library.root / "blobs" / f"sha256-{weights}"
    assert model.config == {"model_format": "gguf", "model_family": "llama"}
    assert model.modified_at.timestamp() == pytest.approx(path.stat().st_mtime)
    assert model.modified_at.tzinfo is not None


def test_the_newest_comes_first(library: Library) -> None:
    for name, when in (("middle", 1_700_000_001), ("oldest", 1_700_000_000), ("newest", 1_700_000_002)):
        put(library, name)
        os.utime(manifest_path(library, name), (when, when))
    assert [model.name.model for model in library.list()] == ["newest", "middle", "oldest"]


def test_a_missing_blob_is_named(library: Library) -> None:
    model = put(library, "model", system="hi")
    model.weights.unlink()
    with pytest.raises(LoadFailed, match=f"'model:latest' is damaged: {model.layers[0].digest} is missing"):
        library.open("model")


def test_a_copy_shares_the_blobs_and_outlives_the_original(library: Library) -> None:
    model = put(library, "model:1b")
    before = blobs(library)
    library.copy("MODEL:1b", "someone/copy")
    assert blobs(library) == before
    assert library.open("someone/copy").digest == model.digest
    library.delete("model:1b")
    assert library.open("someone/copy").weights.read_bytes() == b"weights"
    library.copy("someone/copy", "Someone/Copy")
    assert displayed(library) == ["someone/copy:latest"]


def test_copying_refuses_in_ollamas_words(library: Library) -> None:
    put(library, "model")
    with pytest.raises(NotFound, match=r'^model "Nope" not found$'):
        library.copy("Nope", "copy")
    with pytest.raises(BadRequest, match=r'^source "../x" is invalid$'):
        library.copy("../x", "copy")
    with pytest.raises(BadRequest, match=r'^destination "a b" is invalid$'):
        library.copy("model", "a b")
    assert displayed(library) == ["model:latest"]


def test_deleting_takes_what_only_that_model_had(library: Library) -> None:
    put(library, "hf.co/someone/a:1", b"shared", system="only a")
    put(library, "b", b"shared", system="only b")
    library.delete("HF.co/someone/A:1")
    assert displayed(library) == ["b:latest"]
    assert not (library.root / "manifests" / "hf.co").exists()
    assert hashlib.sha256(b"only a").hexdigest() not in "".join(blobs(library))
    assert library.open("b").system == "only b"
    library.delete("b")
    assert blobs(library) == set()
    assert [path.name for path in (library.root / "manifests").iterdir()] == []


def test_a_manifest_is_written_only_over_blobs_that_are_there(library: Library) -> None:
    put(library, "model")
    absent = "sha256:" + "0" * 64
    before = blobs(library)
    with pytest.raises(PunaError, match=f"blob {absent} is missing"):
        library.write_manifest(Name.parse("model"), {}, [Layer(IMAGE + "model", absent, 1)])
    assert blobs(library) == before
    assert library.open("model").weights.read_bytes() == b"weights"


def test_replacing_a_model_removes_what_only_the_old_one_had(library: Library) -> None:
    put(library, "other", b"shared", system="other")
    put(library, "model", b"shared", system="old")
    model = put(library, "model", b"shared", system="new")
    expected = {"shared", "other", "new"} | {json.dumps(model.config, separators=(",", ":")) + "\n"}
    assert blobs(library) == {f"sha256-{hashlib.sha256(text.encode()).hexdigest()}" for text in expected}


def test_a_model_made_of_another_and_both_removed_leave_nothing(library: Library) -> None:
    for order in (("base", "made"), ("made", "base")):
        base = put(library, "base")
        for part in base.layers:
            assert library.blobs.pin(part.digest)
        library.write_manifest(Name.parse("made"), {"made": True}, base.layers)
        for name in order:
            library.delete(name)
        assert blobs(library) == set()


def test_a_damaged_model_is_not_copied(library: Library) -> None:
    put(library, "model")
    manifest_path(library, "model").write_text("{")
    with pytest.raises(LoadFailed, match=r"the manifest for 'copy:latest' is damaged"):
        library.copy("model", "copy")
    assert not manifest_path(library, "copy").exists()
