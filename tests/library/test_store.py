from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

import pytest

from puna.library import Layer, Library, Name
from puna.types import BadRequest, InvalidName, LoadFailed, NotFound, PunaError
from tests.library.stores import IMAGE, blobs, layer, manifest_path, put

GARBAGE = [b"", b"{", b"[]", b"null", b'{"schemaVersion": 2}', b"\xff\xfe", b'{"layers": 5}']


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "models")


def displayed(library: Library) -> list[str]:
    return sorted(model.name.display() for model in library.list())


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


def test_names_are_found_whatever_their_case(library: Library) -> None:
    put(library, "Someone/Qwen3:Q4_K_M")
    for text in ("someone/qwen3:q4_k_m", "SOMEONE/Qwen3:Q4_k_M", "REGISTRY.OLLAMA.AI/someone/qwen3:q4_K_M"):
        assert str(library.open(text).name) == "registry.ollama.ai/Someone/Qwen3:Q4_K_M"
    assert library.resolve("someone/QWEN3:new").display() == "Someone/Qwen3:new"
    assert library.resolve("other/Model").display() == "other/Model:latest"


def test_a_new_tag_joins_the_model_in_its_case(library: Library) -> None:
    put(library, "Qwen3:a")
    put(library, "qwen3:b")
    assert displayed(library) == ["Qwen3:a", "Qwen3:b"]


def test_the_exact_name_wins_over_one_that_differs_in_case(library: Library) -> None:
    put(library, "Model:a")
    if (library.root / "MANIFESTS").exists():
        pytest.skip("this file system does not tell case apart")
    for spelling in ("model/latest", "MODEL/latest", "MODEL/b"):
        path = library.root / "manifests/registry.ollama.ai/library" / spelling
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(manifest_path(library, "Model:a").read_bytes())
    assert library.resolve("model").display() == "model:latest"
    assert library.resolve("MODEL").display() == "MODEL:latest"
    assert library.resolve("model:b").display() == "MODEL:b"
    assert library.resolve("model:A").display() == "Model:a"


def test_unknown_and_invalid_names_are_told_apart(library: Library) -> None:
    for text in ("Nope", "nope:1b", "a/b/c"):
        for ask in (library.open, library.delete):
            with pytest.raises(NotFound, match=rf"^model '{text}' not found$"):
                ask(text)
    for ask in (library.open, library.delete, library.resolve):
        with pytest.raises(InvalidName, match=r"^invalid model name$"):
            ask("../x")


def test_the_newest_comes_first(library: Library) -> None:
    for name, when in (("middle", 1_700_000_001), ("oldest", 1_700_000_000), ("newest", 1_700_000_002)):
        put(library, name)
        os.utime(manifest_path(library, name), (when, when))
    assert [model.name.model for model in library.list()] == ["newest", "middle", "oldest"]


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


def test_strange_files_among_the_manifests_are_passed_over(library: Library) -> None:
    put(library, "model")
    manifests = library.root / "manifests"
    (manifests / ".DS_Store").write_text("")
    (manifests / "registry.ollama.ai" / ".DS_Store").write_text("")
    (manifests / "registry.ollama.ai" / "library" / "model" / ".hidden").write_text("")
    (manifests / "registry.ollama.ai" / "library" / "model" / "folder").mkdir()
    (manifests / "registry.ollama.ai" / "library" / "bad name").mkdir()
    (manifests / "registry.ollama.ai" / "library" / "bad name" / "latest").write_text("{}")
    assert displayed(library) == ["model:latest"]
    with pytest.raises(NotFound):
        library.open("model:folder")


def test_a_missing_blob_is_named(library: Library) -> None:
    model = put(library, "model", system="hi")
    model.weights.unlink()
    with pytest.raises(LoadFailed, match=f"'model:latest' is damaged: {model.layers[0].digest} is missing"):
        library.open("model")


def test_listing_again_reads_no_file(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(20):
        put(library, f"model{number}")
    first = library.list()

    def refuse(path: Path) -> bytes:
        raise AssertionError(f"{path} was read again")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        assert library.list() == first
    put(library, "model7", b"other weights")
    assert library.list()[0].weights.read_bytes() == b"other weights"


def test_another_program_s_change_is_seen(library: Library) -> None:
    put(library, "a", b"one")
    put(library, "b", b"two")
    assert library.open("a").weights.read_bytes() == b"one"
    os.replace(manifest_path(library, "b"), manifest_path(library, "a"))
    assert library.open("a").weights.read_bytes() == b"two"
    assert displayed(library) == ["a:latest"]


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
    with pytest.raises(PunaError, match=f"blob {absent} is missing"):
        library.write_manifest(Name.parse("model"), {}, [Layer(IMAGE + "model", absent, 1)])
    assert library.open("model").weights.read_bytes() == b"weights"


def test_a_name_too_long_for_the_disk_is_no_crash(library: Library) -> None:
    text = "h" * 300 + "/someone/model"
    with pytest.raises(NotFound):
        library.open(text)
    with pytest.raises(PunaError, match="cannot write to"):
        library.write_manifest(Name.parse(text), {}, [layer(library, "model", b"weights")])
    assert library.list() == []


def test_pruning_keeps_every_blob_while_a_manifest_cannot_be_read(library: Library) -> None:
    model = put(library, "model")
    orphan, _ = library.add_blob([b"orphan"])
    stray = library.root / "manifests" / ".0123-partial"
    stray.write_text("")
    for path in (model.weights, library.blob_path(orphan), stray):
        os.utime(path, (0, 0))
    manifest_path(library, "model:bad").write_text("{")
    library.prune()
    assert library.blob_path(orphan).exists()
    assert not stray.exists()
    library.delete("model:bad")
    library.prune()
    assert not library.blob_path(orphan).exists()
    assert library.open("model").weights.exists()


def test_replacing_a_model_removes_what_only_the_old_one_had(library: Library) -> None:
    put(library, "other", b"shared", system="other")
    put(library, "model", b"shared", system="old")
    model = put(library, "model", b"shared", system="new")
    expected = {"shared", "other", "new"} | {json.dumps(model.config, separators=(",", ":")) + "\n"}
    assert blobs(library) == {f"sha256-{hashlib.sha256(text.encode()).hexdigest()}" for text in expected}


def test_noprune_keeps_what_replacing_leaves_but_not_what_removing_does(library: Library) -> None:
    keeping = Library(library.root, no_prune=True)
    put(keeping, "model", b"old")
    put(keeping, "model", b"new")
    old = keeping.blob_path(f"sha256:{hashlib.sha256(b'old').hexdigest()}")
    for path in library.root.glob("blobs/*"):
        os.utime(path, (0, 0))
    keeping.prune()
    assert old.exists()
    keeping.delete("model")
    assert blobs(library) == {old.name}
    library.prune()
    assert blobs(library) == set()


def test_a_model_made_of_another_and_both_removed_leave_nothing(library: Library) -> None:
    for order in (("base", "made"), ("made", "base")):
        base = put(library, "base")
        for part in base.layers:
            assert library.hold_blob(part.digest)
        library.write_manifest(Name.parse("made"), {"made": True}, base.layers)
        for name in order:
            library.delete(name)
        assert blobs(library) == set()


def test_removing_spares_every_blob_while_another_manifest_cannot_be_read(library: Library) -> None:
    model = put(library, "model")
    put(library, "model:other", b"other")
    manifest_path(library, "model:other").write_text("{")
    library.delete("model")
    assert model.weights.exists()


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


def test_a_damaged_model_is_not_copied(library: Library) -> None:
    put(library, "model")
    manifest_path(library, "model").write_text("{")
    with pytest.raises(LoadFailed, match=r"the manifest for 'copy:latest' is damaged"):
        library.copy("model", "copy")
    assert not manifest_path(library, "copy").exists()


@pytest.fixture
def old_store(library: Library) -> Library:
    """As the first Ollamas named blobs, and as other programs may: with a colon, and in capitals."""
    put(library, "Old", b"weights", system="Be old.")
    manifest = json.loads(manifest_path(library, "Old").read_bytes())
    (weights, system), config = manifest["layers"], manifest["config"]
    for layer_, spelling in ((weights, "sha256:{}"), (system, "sha256-{}"), (config, "sha256:{}")):
        number = layer_["digest"].removeprefix("sha256:")
        old = number if layer_ is config else number.upper()
        library.blob_path(layer_["digest"]).rename(library.root / "blobs" / spelling.format(old))
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


def test_hosts_with_a_port_and_without_colons_are_both_read(library: Library) -> None:
    """Windows has no colons in names of folders: there a host is stored with another character."""
    for name in ("localhost:5000/someone/model", "localhost-5000/someone/model", "localhost_5000/a/b:c"):
        put(library, name)
    assert displayed(library) == [
        "localhost-5000/someone/model:latest",
        "localhost:5000/someone/model:latest",
        "localhost_5000/a/b:c",
    ]


@pytest.mark.parametrize("content", [b"", b"{}", b'{"model_families": null, "model_type": null}'])
def test_a_config_that_says_nothing_is_enough(library: Library, content: bytes) -> None:
    put(library, "model")
    manifest = json.loads(manifest_path(library, "model").read_bytes())
    digest, size = library.add_blob([content])
    manifest["config"] |= {"digest": digest, "size": size}
    manifest_path(library, "model").write_text(json.dumps(manifest))
    assert displayed(library) == ["model:latest"]
    details = library.open("model").details()
    assert details["parameter_size"] in ("", None)
    assert set(details) >= {"format", "family", "families", "quantization_level"}


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


def test_changes_in_folders_that_were_still_for_long_are_seen_at_once(library: Library) -> None:
    put(library, "one")
    put(library, "two")
    for folder in (path for path in library.root.rglob("*") if path.is_dir()):
        os.utime(folder, (1, 1))
    assert displayed(library) == displayed(library) == ["one:latest", "two:latest"]
    other = Library(library.root)
    put(other, "one:b")
    assert displayed(library) == ["one:b", "one:latest", "two:latest"]
    assert library.open("ONE:B").name.display() == "one:b"
    other.delete("one:b")
    other.delete("two")
    assert displayed(library) == ["one:latest"]
    with pytest.raises(NotFound):
        library.open("two")


def test_listing_folders_that_were_still_for_long_reads_none(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        put(library, f"model{number}")
    for folder in (path for path in library.root.rglob("*") if path.is_dir()):
        os.utime(folder, (1, 1))
    first = library.list()
    monkeypatch.setattr(os, "scandir", None)
    assert library.list() == first


def test_pruning_keeps_every_blob_while_a_folder_cannot_be_read(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    put(library, "mine.host/someone/model")
    put(library, "model", b"other")
    for path in library.root.glob("blobs/*"):
        os.utime(path, (0, 0))
    scandir = os.scandir

    def closed(folder: str) -> object:
        if str(folder).endswith("mine.host"):
            raise PermissionError(13, "Permission denied", folder)
        return scandir(folder)

    before = blobs(library)
    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(os, "scandir", closed)
        fresh = Library(library.root)
        assert displayed(fresh) == ["model:latest"]
        fresh.prune()
        fresh.delete("model")
    assert "mine.host cannot be read" in caplog.text
    assert blobs(library) == before
    assert displayed(library) == ["mine.host/someone/model:latest"]
