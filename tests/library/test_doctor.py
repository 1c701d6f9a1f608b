"""A sick store: what is found, what is mended, what is removed and what is left alone."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from puna.errors import NotFound, PunaError
from puna.library import Finding, Library, Name, check, repair
from puna.types import Progress
from tests.library.stores import blobs, layer, manifest_path, put, put_real


@pytest.fixture
def library(tmp_path: Path) -> Library:
    library = Library(tmp_path / "models")
    put_real(library, "whole", system="shared")
    put_real(library, "ailing", system="shared", template="its own")
    return library


def silent(_: Progress) -> None:
    pass


def examined(library: Library) -> list[Finding]:
    return check(library, silent)


def snapshot(library: Library) -> dict[Path, tuple[bytes, float]]:
    return {
        path: (path.read_bytes(), path.stat().st_mtime) for path in library.root.rglob("*") if path.is_file()
    }


def blob_of(library: Library, name: str, kind: str) -> Path:
    (found,) = [part for part in library.open(name).layers if part.media_type.endswith(kind)]
    return library.blobs.path(found.digest)


def damaged_template(library: Library) -> Path:
    path = blob_of(library, "ailing", "template")
    path.write_bytes(b"it's own")
    return path


def missing_template(library: Library) -> Path:
    path = blob_of(library, "ailing", "template")
    path.unlink()
    return path


def missing_config(library: Library) -> Path:
    manifest = json.loads(manifest_path(library, "ailing").read_bytes())
    manifest["config"]["digest"] = f"sha256:{'0' * 64}"
    manifest_path(library, "ailing").write_text(json.dumps(manifest))
    return library.blobs.path(manifest["config"]["digest"])


def unreadable_manifest(library: Library) -> Path:
    path = manifest_path(library, "ailing")
    path.write_bytes(path.read_bytes()[:-20])
    return path


def lying_manifest(library: Library) -> Path:
    path = blob_of(library, "ailing", "template")
    manifest = manifest_path(library, "ailing").read_text()
    manifest_path(library, "ailing").write_text(manifest.replace('"size":7', '"size":8'))
    return path


def manifest_that_leads_nowhere(library: Library) -> Path:
    path = manifest_path(library, "ailing")
    path.rename(library.root.with_name("manifest"))
    path.symlink_to(library.root.with_name("gone"))
    return path


SICKNESSES = {
    "damaged": damaged_template,
    "missing": missing_template,
    "missing config": missing_config,
    "manifest": unreadable_manifest,
    "manifest that lies": lying_manifest,
    "manifest that leads nowhere": manifest_that_leads_nowhere,
}
each_sickness = pytest.mark.parametrize("sickness", SICKNESSES)


def test_a_healthy_store_has_nothing_and_is_not_touched(library: Library) -> None:
    before, steps = snapshot(library), []
    assert check(library, steps.append) == []
    assert snapshot(library) == before
    total = sum(path.stat().st_size for path in library.root.glob("blobs/*"))
    assert {step.total for step in steps} == {total}
    assert [step.completed for step in steps] == sorted(step.completed for step in steps)
    assert steps[-1].completed == total


def test_a_store_that_is_not_there_has_nothing(tmp_path: Path) -> None:
    assert examined(Library(tmp_path / "none")) == []
    assert not (tmp_path / "none").exists()


@each_sickness
def test_what_is_wrong_is_found_and_nothing_changed(library: Library, sickness: str) -> None:
    path = SICKNESSES[sickness](library)
    before = snapshot(library)
    (finding,) = examined(library)
    assert finding.kind == sickness.split()[0]
    assert finding.path == path
    assert finding.models == (Name.parse("ailing"),)
    assert finding.problem.startswith("ailing:latest: ")
    named = str(path) if finding.kind == "manifest" and path.name == "latest" else path.name[-64:]
    assert named in finding.problem
    assert snapshot(library) == before


@each_sickness
def test_what_can_be_pulled_is_well_again(library: Library, sickness: str) -> None:
    content = {part.name: part.read_bytes() for part in library.root.glob("blobs/*")}
    manifest = manifest_path(library, "ailing").read_bytes()
    SICKNESSES[sickness](library)
    pulled = []

    def pull(name: Name) -> None:
        pulled.append(name)
        for part in content.values():
            library.blobs.add([part])
        library.write_manifest_bytes(name, manifest)

    (outcome,) = repair(library, examined(library), pull)
    assert (outcome.fixed, outcome.note) == (True, "pulled again")
    assert pulled == [Name.parse("ailing")]
    assert library.open("ailing").template == "its own"
    assert examined(library) == []


def refuse(name: Name) -> None:
    raise NotFound(f"{name.display()} is nowhere")


@each_sickness
@pytest.mark.parametrize("pull", [None, refuse])
def test_what_cannot_be_pulled_is_said_and_the_rest_stays(
    library: Library, sickness: str, pull: Callable[[Name], None] | None
) -> None:
    path = SICKNESSES[sickness](library)
    for part in library.root.glob("blobs/*"):
        os.utime(part, (0, 0))
    before = snapshot(library)
    (outcome,) = repair(library, examined(library), pull)
    assert not outcome.fixed
    assert "`puna pull ailing:latest`" in outcome.note
    assert ("is nowhere" in outcome.note) == bool(pull)
    assert outcome.note.startswith("removed") == (sickness == "damaged")
    assert library.open("whole").system == "shared"
    lock = library.root / ".puna.lock"
    lost = {path} if sickness == "damaged" else set()
    if sickness == "missing config":
        assert path not in before
    assert set(snapshot(library)) - {lock} == set(before) - {lock} - lost


def test_one_pull_mends_all_that_share_a_blob(library: Library) -> None:
    library.copy("ailing", "copy")
    path = blob_of(library, "ailing", "template")
    damaged_template(library)
    (finding,) = examined(library)
    assert {name.model for name in finding.models} == {"ailing", "copy"}
    pulled = []

    def pull(name: Name) -> None:
        pulled.append(name)
        library.blobs.add([b"its own"])

    (outcome,) = repair(library, [finding], pull)
    assert outcome.fixed
    assert len(pulled) == 1
    assert path.read_bytes() == b"its own"


def test_a_blob_that_was_mended_meanwhile_is_not_removed(library: Library) -> None:
    path = damaged_template(library)
    findings = examined(library)
    library.blobs.add([b"its own"])
    (outcome,) = repair(library, findings, refuse)
    assert outcome.fixed
    assert path.read_bytes() == b"its own"


def test_weights_that_no_engine_reads_are_found(library: Library) -> None:
    model = put(library, "no-gguf", b"GGUF\3\0\0\0")
    (finding,) = examined(library)
    assert finding.kind == "header"
    assert str(model.weights) in finding.problem
    assert "truncated" in finding.problem
    (outcome,) = repair(library, [finding], refuse)
    assert not outcome.fixed
    assert "`puna rm no-gguf:latest`" in outcome.note
    assert model.weights.exists()


def test_what_nobody_needs_is_removed_after_an_hour(library: Library) -> None:
    orphan, size = library.blobs.add([b"orphan"])
    leftover = library.root / "blobs" / "sha256-01234567-partial"
    leftover.write_bytes(b"half")
    unwritten = library.root / "manifests" / ".01234567-partial"
    unwritten.write_bytes(b"{")
    assert examined(library) == []
    for path in (library.blobs.path(orphan), leftover, unwritten):
        os.utime(path, (0, 0))
    findings = examined(library)
    assert {finding.kind for finding in findings} == {"unused"}
    assert {finding.path: finding.size for finding in findings} == {
        library.blobs.path(orphan): size,
        leftover: 4,
        unwritten: 1,
    }
    assert all(outcome.fixed and outcome.note == "removed" for outcome in repair(library, findings))
    assert examined(library) == []
    assert library.open("ailing").template == "its own"


def test_no_blob_counts_as_unused_while_a_manifest_cannot_be_read(library: Library) -> None:
    unreadable_manifest(library)
    for path in library.root.glob("blobs/*"):
        os.utime(path, (0, 0))
    before = blobs(library)
    (finding,) = examined(library)
    assert finding.kind == "manifest"
    repair(library, [finding], refuse)
    assert blobs(library) == before


def test_what_others_put_there_is_named_and_left_alone(library: Library) -> None:
    strange = [
        library.root / "manifests" / ".DS_Store",
        library.root / "manifests" / "registry.ollama.ai" / "library" / "bad name" / "latest",
        library.root / "manifests" / "registry.ollama.ai" / "library" / "whole" / "deep" / "deeper",
        library.root / "blobs" / "notes.txt",
    ]
    for path in strange:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        os.utime(path, (0, 0))
    folder = library.root / "blobs" / "folder"
    folder.mkdir()
    findings = examined(library)
    assert {finding.kind for finding in findings} == {"foreign"}
    assert {finding.path for finding in findings} == {*strange, folder}
    assert all(outcome.fixed and outcome.note == "left alone" for outcome in repair(library, findings))
    assert all(path.read_text() == "mine" for path in strange)


@pytest.mark.parametrize("what", ["weights", "manifest"])
def test_a_file_that_cannot_be_read_is_made_readable(library: Library, what: str) -> None:
    path = blob_of(library, "ailing", "template") if what == "weights" else manifest_path(library, "ailing")
    path.chmod(0o000)
    (finding,) = examined(library)
    assert (finding.kind, finding.path) == ("permission", path)
    assert "its mode is ----------" in finding.problem
    (outcome,) = repair(library, [finding], refuse)
    assert (outcome.fixed, outcome.note) == (True, "made readable")
    assert path.stat().st_mode & 0o777 == 0o644
    assert examined(library) == []


def test_a_disk_that_cannot_be_read_is_no_reason_to_remove_anything(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *_: object) -> None:
        raise PunaError(f"cannot read {path}: Input/output error")

    monkeypatch.setattr("puna.library.doctor.digest_of_file", fail)
    before = blobs(library)
    findings = examined(library)
    assert {finding.path.name for finding in findings} == before
    assert all("Input/output error" in finding.problem for finding in findings)
    for outcome in repair(library, findings):
        assert "Input/output error" in outcome.note
        assert outcome.finding.path.exists()


def test_a_model_that_is_being_made_is_left_to_its_maker(library: Library) -> None:
    library.blobs.partial(f"sha256:{'1' * 64}").write_bytes(b"half")
    with library.blobs.temporary() as path:
        path.write_bytes(b"half")
        layer(library, "model", b"no manifest yet")
        before = blobs(library)
        assert examined(library) == []
        repair(library, [])
        assert blobs(library) == before
