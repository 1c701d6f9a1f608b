"""A store nothing can be written to: models are served from it, and every change is refused clearly."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from puna.library import Library
from tests.models import install, scripted_model
from tests.running import Server, serving

MOUNT = """mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@\""""
"""Makes the folder $0 read-only for the program that follows, and for nobody else."""
WAYS = {
    "mounted read-only": ["unshare", "--mount", "sh", "-c", MOUNT],
    "mounted read-only for oneself": ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", MOUNT],
    # Modes do not stop root, unless that is taken from it.
    "no write permission": ["setpriv", "--inh-caps=-dac_override", "--bounding-set=-dac_override"],
    "no write permission, not root": ["env"],
}


def sealing(way: str, store: Path | str) -> list[str]:
    """What stands before a command for which `store` is to be read-only."""
    return [*WAYS[way], str(store)] if "mounted" in way else WAYS[way]


def works(way: str) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o700 if "mounted" in way else 0o500)
        try:
            command = [*sealing(way, folder), "sh", "-c", 'test ! -w "$0"', folder]
            return not subprocess.run(command, capture_output=True).returncode
        except FileNotFoundError:
            return False


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with one model, and an orphan and a leftover that pruning would take."""
    folder = tmp_path_factory.mktemp("read_only")
    store = folder / "models"
    scripted_model(folder / "model.gguf", "served all the same")
    install(store, "talker", folder / "model.gguf", system="Briefly.")
    orphan, _ = Library(store).blobs.add([b"orphan"])
    leftover = store / "blobs" / "sha256-0123-partial"
    leftover.write_bytes(b"")
    for path in (leftover, Library(store).blobs.path(orphan)):
        os.utime(path, (0, 0))
    return store


@pytest.fixture(scope="module", params=filter(works, WAYS))
def python(store: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """A Python for which the store is read-only."""
    sealed = store.with_name("python")
    sealed.write_text(
        f'#!/bin/sh\nexec {shlex.join([*sealing(request.param, store), sys.executable])} "$@"\n'
    )
    sealed.chmod(0o755)
    modes = {path: path.stat().st_mode for path in (store, *store.rglob("*"))}
    if "mounted" not in request.param:
        for path, mode in modes.items():
            path.chmod(mode & ~0o222)
    yield str(sealed)
    for path, mode in modes.items():
        path.chmod(mode)


@pytest.fixture(scope="module")
def server(store: Path, python: str) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "executable", python)
        with serving(store) as server:
            yield server


def files(store: Path) -> dict[Path, bytes]:
    """Not when they were written: who owns a blob may hold it even where he may not write."""
    return {path: path.read_bytes() if path.is_file() else b"" for path in store.rglob("*")}


def test_models_are_listed_shown_and_run(client: httpx.Client, store: Path) -> None:
    before = files(store)
    (model,) = client.get("/api/tags").json()["models"]
    assert model["name"] == "talker:latest"
    assert client.post("/api/show", json={"model": "talker"}).json()["system"] == "Briefly."
    ask = {"model": "talker", "prompt": "Speak.", "stream": False, "options": {"temperature": 0}}
    assert client.post("/api/generate", json=ask).json()["response"] == "served all the same"
    assert files(store) == before


def test_starting_says_that_it_cannot_prune(server: Server, store: Path) -> None:
    until = time.monotonic() + 20
    while not any("pruning" in line for line in server.log) and time.monotonic() < until:
        time.sleep(0.05)
    (line,) = [line for line in server.log if "pruning" in line]
    assert "WARNING" in line
    assert str(store) in line
    assert "Traceback" not in "".join(server.log)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/copy", {"source": "talker", "destination": "copy"}),
        ("POST", "/api/pull", {"model": "smollm2:135m", "stream": False}),
        ("DELETE", "/api/delete", {"model": "talker"}),
        ("POST", "/api/create", {"model": "new", "from": "talker", "system": "new", "stream": False}),
    ],
)
def test_changes_are_refused(
    client: httpx.Client, store: Path, method: str, path: str, body: dict[str, object]
) -> None:
    before = files(store)
    answer = client.request(method, path, json=body)
    assert answer.status_code == 500
    assert str(store) in answer.json()["error"]
    assert any(reason in answer.json()["error"] for reason in ("Read-only file system", "Permission denied"))
    assert files(store) == before


def test_uploads_are_refused_but_what_is_there_is_known(client: httpx.Client, store: Path) -> None:
    (layer, *_) = Library(store).open("talker").layers
    assert client.head(f"/api/blobs/{layer.digest}").status_code == 200
    answer = client.post(f"/api/blobs/sha256:{'0' * 64}", content=b"content")
    assert answer.status_code == 500
    assert "cannot write to" in answer.json()["error"]


def test_the_doctor_examines_it_and_says_that_nothing_can_be_repaired(store: Path, python: str) -> None:
    before = files(store)
    environment = {**os.environ, "OLLAMA_MODELS": str(store)}
    for more in ([], ["--fix"]):
        command = [python, "-m", "puna", "doctor", *more]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1, done.stderr
        assert "is of no model (6 B)" in done.stdout
        assert "was never finished" in done.stdout
        assert "2 problems in" in done.stderr
        assert ("cannot write to" in done.stdout) == bool(more)
    assert files(store) == before
