"""Several processes work on one store at a time, with nothing between them but the store."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from pathlib import Path

import httpx
import pytest

from puna.errors import PunaError
from puna.library import Library, Name
from puna.library.lock import file_lock
from tests.library.stores import blobs, displayed, manifest_path, put, put_real
from tests.running import serving

forked = multiprocessing.get_context("fork")
ROUNDS = 60


def run(*works: tuple) -> None:
    """Each of the works, a function and its arguments, in its own process; all of them end well."""
    children = [forked.Process(target=work, args=given, daemon=True) for work, *given in works]
    for child in children:
        child.start()
    for child in children:
        child.join(timeout=60)
    assert [child.exitcode for child in children] == [0] * len(works)


def create_and_delete(root: Path, name: str, barrier: Barrier) -> None:
    library = Library(root)
    for number in range(ROUNDS):
        barrier.wait(timeout=30)
        model = put(library, name, b"weights %d" % number, system=f"system {number}")
        assert model.weights.read_bytes() == b"weights %d" % number
        assert model.system == f"system {number}"
        library.delete(name)


def test_a_deleted_model_takes_no_blob_that_another_process_is_creating_from(tmp_path: Path) -> None:
    barrier = forked.Barrier(2)
    run((create_and_delete, tmp_path, "a", barrier), (create_and_delete, tmp_path, "b", barrier))
    library = Library(tmp_path)
    assert library.list() == []
    for path in tmp_path.glob("blobs/*"):  # What both held at once stays until it is pruned.
        os.utime(path, (0, 0))
    library.prune()
    assert blobs(library) == set()


def test_a_blob_that_is_held_outlives_its_model(tmp_path: Path) -> None:
    library = Library(tmp_path)
    model = put(library, "first", system="not held")
    content = manifest_path(library, "first").read_bytes()
    other = Library(tmp_path)
    assert other.blobs.pin(model.layers[0].digest)
    library.delete("first")
    assert model.weights.exists()
    assert blobs(library) == {model.weights.name}
    with pytest.raises(PunaError, match="is missing"):
        other.write_manifest_bytes(Name.parse("second"), content)
    other.write_manifest(Name.parse("second"), {}, model.layers[:1])
    library.delete("second")
    assert blobs(library) == set()


def put_in_case(root: Path, name: str, barrier: Barrier) -> None:
    library = Library(root)
    for number in range(ROUNDS):
        barrier.wait(timeout=30)
        put(library, f"{name}{number}", system=name)


def test_two_processes_that_write_a_name_in_two_cases_have_one_model(tmp_path: Path) -> None:
    barrier = forked.Barrier(2)
    run((put_in_case, tmp_path, "model", barrier), (put_in_case, tmp_path, "MODEL", barrier))
    assert len(displayed(Library(tmp_path))) == ROUNDS


def copy_and_delete(root: Path, name: str, barrier: Barrier) -> None:
    library = Library(root)
    for _ in range(ROUNDS):
        barrier.wait(timeout=30)
        library.copy("kept", f"host.io/someone/{name}:x")
        assert library.open(f"host.io/someone/{name}:x").weights.read_bytes() == b"weights"
        library.delete(f"host.io/someone/{name}:x")


def prune_always(root: Path, barrier: Barrier) -> None:
    library = Library(root)
    for _ in range(ROUNDS):
        barrier.wait(timeout=30)
        library.prune()


def test_folders_that_come_and_go_under_two_processes(tmp_path: Path) -> None:
    put(Library(tmp_path), "kept")
    for path in tmp_path.glob("blobs/*"):
        os.utime(path, (0, 0))
    barrier = forked.Barrier(3)
    run(
        (copy_and_delete, tmp_path, "a", barrier),
        (copy_and_delete, tmp_path, "b", barrier),
        (prune_always, tmp_path, barrier),
    )
    assert [model.name.model for model in Library(tmp_path).list()] == ["kept"]
    assert Library(tmp_path).open("kept").weights.read_bytes() == b"weights"


def hold_lock(root: Path, pipe: Connection) -> None:
    with file_lock(root / ".puna.lock"):
        pipe.send("locked")
        time.sleep(60)


def test_a_killed_process_gives_its_lock_back(tmp_path: Path) -> None:
    library = Library(tmp_path)
    put(library, "model")
    ours, theirs = forked.Pipe()
    child = forked.Process(target=hold_lock, args=(tmp_path, theirs))
    child.start()
    assert ours.recv() == "locked"
    assert library.open("model")  # Reading waits for nobody.
    waiting = forked.Process(target=library.delete, args=("model",))
    waiting.start()
    waiting.join(timeout=0.2)
    assert waiting.is_alive()
    assert library.open("model")
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    waiting.join(timeout=30)
    assert waiting.exitcode == 0
    assert library.list() == []
    child.join()


class OllamaRemoves(Library):
    """A library beside which a program without locks removes a blob while a manifest is written."""

    def _put(self, target: Path, content: bytes) -> None:
        super()._put(target, content)
        for path in self.root.glob("blobs/*"):
            if path.read_bytes() == b"theirs":
                path.unlink()


@pytest.mark.parametrize("before", [None, b"weights"])
def test_a_blob_removed_while_its_manifest_is_written(tmp_path: Path, before: bytes | None) -> None:
    if before:
        put(Library(tmp_path), "model", before)
    with pytest.raises(PunaError, match=r"blob sha256:\w{64} is missing"):
        put(OllamaRemoves(tmp_path), "model", b"theirs")
    models = Library(tmp_path).list()
    assert [model.weights.read_bytes() for model in models] == ([before] if before else [])


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Library, httpx.Client, httpx.Client]]:
    root = tmp_path_factory.mktemp("models")
    with serving(root) as one, serving(root) as other:
        yield Library(root), httpx.Client(base_url=one.url), httpx.Client(base_url=other.url)


def names(client: httpx.Client) -> list[str]:
    return sorted(model["name"] for model in client.get("/api/tags").json()["models"])


Servers = tuple[Library, httpx.Client, httpx.Client]


def test_two_servers_and_a_program_see_each_other_s_changes_at_once(servers: Servers) -> None:
    library, one, other = servers
    put(library, "model", system="first")
    assert names(one) == names(other) == ["model:latest"]
    for server, asked in ((one, other), (other, one)):
        copied = server.post("/api/copy", json={"source": "model", "destination": "copy"})
        assert copied.status_code == 200
        assert names(asked) == ["copy:latest", "model:latest"]
        assert {model.name.model for model in library.list()} == {"copy", "model"}
        assert asked.request("DELETE", "/api/delete", json={"model": "copy"}).status_code == 200
        assert names(server) == ["model:latest"]
    library.delete("model")
    assert names(one) == names(other) == []
    assert blobs(library) == set()


def test_what_another_process_replaced_is_shown_at_once(servers: Servers) -> None:
    library, one, other = servers
    for text in ("one", "two", "three"):
        put_real(library, "changing", system=text)
        for server in (one, other):
            shown = server.post("/api/show", json={"model": "changing"}).json()
            assert shown["system"] == text
    library.delete("changing")
    shutil.rmtree(library.root / "manifests")
    assert names(one) == []


@pytest.mark.parametrize("setting", [{}, {"OLLAMA_NOPRUNE": "1"}])
def test_a_server_prunes_when_it_starts_unless_told_not_to(tmp_path: Path, setting: dict[str, str]) -> None:
    library = Library(tmp_path)
    put(library, "model")
    orphan, _ = library.blobs.add([b"orphan"])
    leftover = tmp_path / "blobs" / "sha256-0123-partial"
    leftover.write_bytes(b"")
    for path in tmp_path.glob("blobs/*"):
        os.utime(path, (0, 0))
    with serving(tmp_path, **setting):
        until = time.monotonic() + 20
        while leftover.exists() and time.monotonic() < until:
            time.sleep(0.02)
    assert not leftover.exists()
    assert library.blobs.path(orphan).exists() == bool(setting)
    assert library.open("model").weights.read_bytes() == b"weights"
