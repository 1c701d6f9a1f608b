"""Manifests that others wrote: Ollama's, those of long ago, and what is none."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tracemalloc

import pytest

from puna.errors import LoadFailed, PunaError
from puna.library import Library, Name
from tests.library.stores import IMAGE, blobs, displayed, manifest_path, put

GARBAGE = [b"", b"{", b"[]", b"null", b'{"schemaVersion": 2}', b"\xff\xfe", b'{"layers": 5}']


def test_what_ollama_wrote_reads_as_is(library: Library) -> None:
    """The fields of a manifest pulled from the public library, `from` and nulls among them."""
    root = library.root
    (root / "blobs").mkdir(parents=True)

    def stored(media_type: str, content: bytes, **more: str) -> dict[str, object]:
        digest = hashlib.sha256(content).hexdigest()
        (root / "blobs" / f"sha256-{digest}").write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content), **more}

    about = b'{"model_format":"gguf","model_family":"llama","model_families":null,"model_type":"8.0B",'
    about += (
        b'"file_type":"Q4_0","architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'
    )
    manifest = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": stored("application/vnd.docker.container.image.v1+json", about),
        "layers": [
            stored(IMAGE + "model", b"GGUF...", **{"from": "/somewhere/llama"}),
            stored(IMAGE + "license", b"first"),
            stored(IMAGE + "license", b"second"),
            stored(IMAGE + "params", b'{"stop":["<|eot_id|>"],"num_ctx":8192}'),
            stored(IMAGE + "messages", b'[{"role":"user","content":"hi"}]'),
            stored(IMAGE + "future", b"?"),
        ],
    }
    path = manifest_path(library, "llama3:8b")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(manifest) + "\n")

    (model,) = library.list()
    assert model == library.open("llama3:8b")
    assert model.licenses == ["first", "second"]
    assert model.parameters == {"stop": ["<|eot_id|>"], "num_ctx": 8192}
    assert [(message.role, message.content) for message in model.messages] == [("user", "hi")]
    assert (model.system, model.template, model.projectors, model.adapters) == ("", None, (), ())
    assert model.details() == {
        "parent_model": "/somewhere/llama",
        "format": "gguf",
        "family": "llama",
        "families": None,
        "parameter_size": "8.0B",
        "quantization_level": "Q4_0",
    }


@pytest.mark.parametrize("content", GARBAGE)
def test_a_damaged_manifest_is_left_out_with_a_warning(
    library: Library, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    put(library, "whole")
    manifest_path(library, "broken").parent.mkdir()
    manifest_path(library, "broken").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert displayed(library) == ["whole:latest"]
    assert "broken:latest" in caplog.text
    with pytest.raises(LoadFailed, match="'broken:latest' is damaged"):
        library.open("broken")
    library.delete("broken")
    assert not manifest_path(library, "broken").exists()
    library.open("whole")


def test_a_manifest_cannot_name_a_file_outside_the_blobs(library: Library) -> None:
    put(library, "model")
    path = manifest_path(library, "model")
    manifest = json.loads(path.read_bytes())
    manifest["layers"][0]["digest"] = "sha256:../../../etc/passwd"
    path.write_text(json.dumps(manifest))
    assert library.list() == []
    with pytest.raises(LoadFailed):
        library.open("model")


def test_a_manifest_is_kept_as_the_registry_sent_it(library: Library) -> None:
    put(library, "model", system="hi")
    sent = json.loads(manifest_path(library, "model").read_bytes())
    content = json.dumps(sent | {"annotations": {"by": "someone"}}, indent=3).encode()
    library.write_manifest_bytes(Name.parse("hf.co/someone/pulled:Q4_K_M"), content)
    pulled = library.open("hf.co/someone/pulled:q4_k_m")
    assert manifest_path(library, "hf.co/someone/pulled:Q4_K_M").read_bytes() == content
    assert pulled.digest == hashlib.sha256(content).hexdigest()
    assert pulled.system == "hi"


@pytest.mark.parametrize(
    "content",
    [
        *GARBAGE,
        b"<html>",
        b'{"mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [], "layers": []}',
        b'{"layers": [{"mediaType": "x", "digest": "md5:0", "size": 1}]}',
        b'{"layers": [{"mediaType": "x", "digest": "sha256:%s", "size": 1}]}' % (b"0" * 64),
    ],
)
def test_what_is_no_manifest_of_a_model_is_refused(library: Library, content: bytes) -> None:
    put(library, "model")
    before = manifest_path(library, "model").read_bytes()
    with pytest.raises(PunaError, match=r"invalid manifest for model:latest|blob sha256:0+ is missing"):
        library.write_manifest_bytes(Name.parse("model"), content)
    assert manifest_path(library, "model").read_bytes() == before


@pytest.fixture
def old_store(library: Library) -> Library:
    """As the first Ollamas named blobs, and as other programs may: with a colon, and in capitals."""
    put(library, "Old", b"weights", system="Be old.")
    manifest = json.loads(manifest_path(library, "Old").read_bytes())
    (weights, system), config = manifest["layers"], manifest["config"]
    for layer_, spelling in ((weights, "sha256:{}"), (system, "sha256-{}"), (config, "sha256:{}")):
        number = layer_["digest"].removeprefix("sha256:")
        old = number if layer_ is config else number.upper()
        library.blobs.path(layer_["digest"]).rename(library.root / "blobs" / spelling.format(old))
        layer_["digest"] = f"sha256:{old}"
        layer_["annotations"] = {"unknown": None}
    manifest["config"]["urls"] = []
    del manifest["schemaVersion"]
    manifest_path(library, "Old").write_text(json.dumps(manifest))
    return Library(library.root)


def test_a_store_with_the_blobs_names_of_old_is_read_and_renamed(old_store: Library) -> None:
    before = blobs(old_store)
    model = old_store.open("old")
    assert (model.weights.read_bytes(), model.system) == (b"weights", "Be old.")
    assert old_store.unused() == []
    assert blobs(old_store) == before
    for path in old_store.root.glob("blobs/*"):
        os.utime(path, (0, 0))
    old_store.prune()
    assert blobs(old_store) == {f"sha256-{name[-64:].lower()}" for name in before}
    for library in (old_store, Library(old_store.root)):
        assert library.open("old").weights.read_bytes() == b"weights"
        assert library.open("old").system == "Be old."
    old_store.delete("old")
    assert blobs(old_store) == set()


def test_a_store_with_the_blobs_names_of_old_can_be_cleared_as_it_is(old_store: Library) -> None:
    old_store.copy("old", "new")
    old_store.delete("old")
    assert len(blobs(old_store)) == 3
    old_store.delete("new")
    assert blobs(old_store) == set()


@pytest.mark.parametrize("content", [b"", b"{}", b'{"model_families": null, "model_type": null}'])
def test_a_config_that_says_nothing_is_enough(library: Library, content: bytes) -> None:
    put(library, "model")
    manifest = json.loads(manifest_path(library, "model").read_bytes())
    digest, size = library.blobs.add([content])
    manifest["config"] |= {"digest": digest, "size": size}
    manifest_path(library, "model").write_text(json.dumps(manifest))
    assert displayed(library) == ["model:latest"]
    details = library.open("model").details()
    assert details["parameter_size"] in ("", None)
    assert set(details) >= {"format", "family", "families", "quantization_level"}


def test_a_text_as_long_as_weights_is_not_read(library: Library, caplog: pytest.LogCaptureFixture) -> None:
    """A manifest may say of any blob that it is the config, or a license."""
    for part in ("config", "license"):
        model = put(library, part, license="MIT")
        manifest = json.loads(manifest_path(library, part).read_bytes())
        named = manifest["config"] if part == "config" else manifest["layers"][1]
        named["digest"] = f"sha256:{len(part):064}"
        os.truncate(os.open(library.blobs.path(named["digest"]), os.O_CREAT | os.O_WRONLY), 1 << 30)
        manifest_path(library, part).write_text(json.dumps(manifest))
    tracemalloc.start()
    with caplog.at_level(logging.WARNING):
        assert displayed(library) == ["license:latest"]
    assert "config:latest" in caplog.text
    model = library.open("license")
    with pytest.raises(LoadFailed, match="is longer than 64 MiB"):
        _ = model.licenses
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_a_manifest_that_does_not_say_what_it_is_will_do(library: Library) -> None:
    model = put(library, "model")
    said = json.loads(manifest_path(library, "model").read_bytes())
    for kind in ({"mediaType": ""}, {}):
        content = json.dumps({"config": said["config"], "layers": said["layers"], **kind}).encode()
        library.write_manifest_bytes(Name.parse("other"), content)
        assert library.open("other").weights == model.weights


def test_a_manifest_without_config_or_layers_still_lists(library: Library) -> None:
    model = put(library, "model")
    manifest = json.loads(manifest_path(library, "model").read_bytes())
    for number, part in enumerate(({"layers": manifest["layers"]}, {"layers": None})):
        path = manifest_path(library, f"odd:{number}")
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(part))
    assert displayed(library) == ["model:latest", "odd:0", "odd:1"]
    assert library.open("odd:0").weights == model.weights
    with pytest.raises(LoadFailed, match="'odd:1' has no weights"):
        _ = library.open("odd:1").weights
