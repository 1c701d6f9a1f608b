"""`puna doctor`: what it prints, repairs and fails with."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from puna.library import Library, push
from puna.load import Device, Devices
from tests.cli.conftest import Ended, Recorded
from tests.library.registry.secure import made_certificate, tls
from tests.library.stores import put_real
from tests.models import install, shape_model
from tests.registries import registry

Puna = Callable[..., Ended]

UNREACHABLE = "127.0.0.1:1/someone/ailing"


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    library = Library(tmp_path / "models")
    put_real(library, "whole", system="shared")
    return library


def ail(library: Library) -> Path:
    model = put_real(library, UNREACHABLE, system="shared", template="its own")
    path = library.blobs.path(model.layers[-1].digest)
    path.write_bytes(b"it's own")
    return path


def test_a_healthy_store_needs_no_server(puna: Puna, library: Library, recorded: Recorded) -> None:
    ended = puna("doctor")
    assert ended.status == 0
    assert ended.out.splitlines()[2:] == [f"no problems in {library.root}"]
    assert ended.err == "checking\n"
    assert recorded.asked == []


def test_a_store_that_is_not_there_has_no_problems(
    puna: Puna, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "none"))
    assert puna("doctor").status == 0
    assert not (tmp_path / "none").exists()


def test_what_is_wrong_is_printed_and_fails(puna: Puna, library: Library) -> None:
    path = ail(library)
    ended = puna("doctor")
    *_, line = ended.out.splitlines()
    blob = f"blob sha256:{path.name[-64:]}"
    assert line.startswith(f"{UNREACHABLE}:latest: {blob} is damaged: 8 bytes with digest sha256:")
    assert ended.status == 1
    assert f"Error: 1 problem in {library.root}; `puna doctor --fix` repairs" in ended.err
    assert path.exists()


def test_repairing_removes_what_is_damaged_and_says_how_it_comes_back(puna: Puna, library: Library) -> None:
    path = ail(library)
    ended = puna("doctor", "--fix")
    assert ended.status == 1
    assert f"to get it again: `puna pull {UNREACHABLE}:latest`" in ended.out
    assert "\n  removed; " in ended.out
    assert not path.exists()
    library.delete(UNREACHABLE)
    assert puna("doctor").status == 0


def test_repairing_frees_room(puna: Puna, library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    digest, _ = library.blobs.add([b"x" * 1500])
    os.utime(library.blobs.path(digest), (0, 0))
    (library.root / "blobs" / "notes").write_text("mine")
    monkeypatch.setenv("OLLAMA_NOPRUNE", "1")
    assert puna("doctor").status == 0
    monkeypatch.delenv("OLLAMA_NOPRUNE")
    assert f"blob {digest} is of no model (1.5 KB)\n" in puna("doctor").out
    ended = puna("doctor", "--fix")
    assert f"blob {digest} is of no model (1.5 KB)\n  removed\n" in ended.out
    assert ended.out.endswith(f"  left alone\nno problems left in {library.root}\n")
    assert ended.status == 0
    assert not library.blobs.path(digest).exists()
    assert library.open("whole").system == "shared"


def test_a_terminal_shows_a_bar(library: Library) -> None:
    child = pexpect.spawn(sys.executable, ["-m", "puna", "doctor"], encoding="utf-8", dimensions=(24, 100))
    child.expect("checking 100% ▕█+▏", timeout=30)
    child.expect_exact("no problems in", timeout=30)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_repairing_fetches_what_is_lost_from_the_registry_that_the_name_says(
    puna: Puna, library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = made_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with registry(tmp_path / "registry") as hub, tls(hub, certificate) as host:
        model = put_real(library, f"{host}/me/ailing", system="shared", template="its own")
        push(library, str(model.name), lambda step: None)
        path = library.blobs.path(model.layers[-1].digest)
        path.write_bytes(b"it's own")
        ended = puna("doctor", "--fix")
    assert (ended.status, path.read_bytes()) == (0, b"its own")
    assert " is damaged: 8 bytes with digest sha256:" in ended.out
    assert ended.out.endswith(f"\n  pulled again\nno problems left in {library.root}\n")
    assert f"pulling {path.name[7:19]}\n" in ended.err


def test_it_says_which_kernels_are_in_use(puna: Puna, library: Library) -> None:
    assert re.search(r"^kernels (avx\w+: .*\bq4_K\b|off: \S)", puna("doctor").out, re.MULTILINE)


def test_kernels_that_are_turned_off_are_off(
    puna: Puna, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUNA_KERNELS", "0")
    assert puna("doctor").out.startswith("kernels off: ")


def test_with_a_gpu_it_says_where_each_model_would_go(
    puna: Puna, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape_model(tmp_path / "m")
    install(tmp_path / "models", "m", tmp_path / "m")
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "models"))
    card = Device(
        name="CUDA0", description="a card", backend="CUDA", shared=False, total=8 << 30, free=8 << 30
    )

    async def find() -> Devices:
        return Devices(backends=("cuda",), devices=(card,))

    monkeypatch.setattr("puna.engine.find_devices", find)
    monkeypatch.setattr("puna.engine.drivers", lambda: ["NVIDIA 580.95.05"])
    said = puna("doctor").out
    assert re.search(r"^m:latest: 3 layers on CUDA0 \(\d+ MiB\), context \d+$", said, re.MULTILINE)
    assert "drivers NVIDIA 580.95.05" in said.splitlines()
