"""What libllama is compiled for on invented machines, and that no build passes for another."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from puna.engine import building
from puna.engine.building import Build, Host, Impossible, choose_build, folder, wheel
from tests.gpu.software import UNAVAILABLE

NVIDIA, AMD, INTEL, VIRTUAL = "0x10de", "0x1002", "0x8086", "0x1af4"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "bin").mkdir()
    environment = {"PATH": str(tmp_path / "bin"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    return Host(environment, tmp_path, "linux")


def card(host: Host, vendor: str) -> None:
    file = host.root / "sys/class/drm" / f"card{vendor}" / "device/vendor"
    file.parent.mkdir(parents=True)
    file.write_text(f"{vendor}\n")


def tool(host: Host, name: str, place: str = "bin") -> None:
    file = host.root / place / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("#!/bin/sh\necho version 1\n")
    file.chmod(0o755)


def vulkan(host: Host, patch: int) -> None:
    tool(host, "glslc")
    header = host.root / "usr/include/vulkan/vulkan_core.h"
    header.parent.mkdir(parents=True)
    header.write_text(
        f"#define VK_HEADER_VERSION {patch}\n"
        "#define VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION(0, 1, 3, VK_HEADER_VERSION)\n"
    )
    config = host.root / "usr/share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake"
    config.parent.mkdir(parents=True)
    config.touch()


def asking(host: Host, **environment: str) -> Host:
    return replace(host, environment={**host.environment, **environment})


def test_without_a_gpu_it_is_the_cpu(host: Host):
    card(host, VIRTUAL)
    vulkan(host, 300)
    tool(host, "nvcc")
    assert (choose_build(host).backend, choose_build(host).better) == ("cpu", ())


@pytest.mark.parametrize(
    ("vendor", "tools", "backend"),
    [
        (NVIDIA, ["nvcc"], "cuda"),
        (AMD, ["hipcc"], "hip"),
        (INTEL, ["icpx"], "sycl"),
        (NVIDIA, [], "vulkan"),
        (AMD, ["nvcc"], "vulkan"),
        (INTEL, [], "vulkan"),
    ],
)
def test_a_card_is_compiled_for_with_what_is_there(host: Host, vendor: str, tools: list[str], backend: str):
    card(host, vendor)
    vulkan(host, 272)
    for name in tools:
        tool(host, name)
    build = choose_build(host)
    assert build.backend == backend
    assert bool(build.better) == (backend == "vulkan")  # for each of these there is something better


def test_a_driver_alone_shows_a_card(host: Host):
    driver = host.root / "proc/driver/nvidia/version"
    driver.parent.mkdir(parents=True)
    driver.touch()
    tool(host, "nvcc", "usr/local/cuda/bin")
    assert choose_build(host).backend == "cuda"


def test_metal_is_for_macs(host: Host):
    assert choose_build(replace(host, system="darwin")).backend == "metal"


def test_what_is_missing_is_named(host: Host):
    card(host, NVIDIA)
    build = choose_build(host)
    assert build.backend == "cpu"
    assert [words.partition(" needs ")[0] for words in build.better] == ["cuda", "vulkan"]
    assert "nvcc" in build.better[0]


def test_old_headers_are_not_compiled_with(host: Host):
    card(host, AMD)
    vulkan(host, 271)
    build = choose_build(host)
    assert build.backend == "cpu"
    assert "here are 1.3.271" in build.better[-1]


@pytest.mark.parametrize("backend", ["cuda", "hip", "sycl", "vulkan", "metal"])
def test_what_is_asked_for_and_cannot_be_is_refused(host: Host, backend: str):
    with pytest.raises(Impossible, match=f"PUNA_BACKEND is {backend}, which needs "):
        choose_build(asking(host, PUNA_BACKEND=backend))


def test_what_is_asked_for_comes_first(host: Host):
    card(host, NVIDIA)
    tool(host, "nvcc")
    vulkan(host, 300)
    assert choose_build(host).backend == "cuda"
    assert choose_build(asking(host, PUNA_BACKEND="Vulkan")).backend == "vulkan"
    assert choose_build(asking(host, PUNA_BACKEND="cpu")).backend == "cpu"
    with pytest.raises(Impossible, match="none of metal, cuda"):
        choose_build(asking(host, PUNA_BACKEND="gpu"))


def test_every_build_has_a_folder_of_its_own(host: Host):
    cuda = Build("cuda", "-DGGML_CUDA=ON", "")
    plain = folder(cuda, "0.3.36", host)
    others = [
        folder(cuda, "0.3.37", host),
        folder(Build("hip", "-DGGML_HIP=ON", ""), "0.3.36", host),
        folder(cuda, "0.3.36", asking(host, CMAKE_ARGS="-DCMAKE_CUDA_ARCHITECTURES=90")),
    ]
    tool(host, "nvcc")
    others.append(folder(cuda, "0.3.36", host))
    assert len({plain, *others}) == 5


class Pip:
    """Stands for pip: keeps a wheel in the folder it is told, and notes how it was called."""

    def __init__(self) -> None:
        self.calls: list[tuple[list[str], str]] = []

    def __call__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.calls.append((command, environment.get("CMAKE_ARGS", "")))
        (Path(command[command.index("-w") + 1]) / "made.whl").touch()


def test_a_gpu_build_never_comes_from_pips_cache_and_is_made_once(
    host: Host, monkeypatch: pytest.MonkeyPatch
):
    pip = Pip()
    monkeypatch.setattr(building, "_pip", pip)
    cuda = Build("cuda", "-DGGML_CUDA=ON", "")
    mine = asking(host, CMAKE_ARGS="-DMINE=1")
    made = wheel(cuda, "0.3.36", mine)
    assert made.exists()
    ((command, arguments),) = pip.calls
    assert {"--no-cache-dir", "--no-binary"} <= set(command)
    assert arguments == "-DGGML_CUDA=ON -DMINE=1"
    assert wheel(cuda, "0.3.36", mine) == made
    assert len(pip.calls) == 1
    assert wheel(Build("vulkan", "-DGGML_VULKAN=ON", ""), "0.3.36", mine) != made


def test_a_build_that_fails_leaves_nothing(host: Host, monkeypatch: pytest.MonkeyPatch):
    def fail(command: list[str], environment: Mapping[str, str]) -> None:
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(building, "_pip", fail)
    cuda = Build("cuda", "-DGGML_CUDA=ON", "")
    with pytest.raises(subprocess.CalledProcessError):
        wheel(cuda, "0.3.36", host)
    assert list(folder(cuda, "0.3.36", host).parent.iterdir()) == []


@pytest.mark.parametrize(
    ("have", "wanted", "calls"),
    [
        (set(), "cpu", [["install", "llama-cpp-python==1"]]),
        ({"cpu"}, "cpu", []),
        ({"cpu", "cuda"}, "cuda", []),
        ({"cpu", "cuda"}, "cpu", [["install", "--force-reinstall", "--no-deps", "llama-cpp-python==1"]]),
    ],
)
def test_what_is_installed_is_left_if_it_is_the_right_one(
    host: Host, monkeypatch: pytest.MonkeyPatch, have: set[str], wanted: str, calls: list[list[str]]
):
    done: list[list[str]] = []
    found = [have, {"cpu"} if wanted == "cpu" else have]
    monkeypatch.setattr(building, "installed_backends", lambda: found[min(len(done), 1)])
    monkeypatch.setattr(building, "_pip", lambda command, environment: done.append(command))
    building.install(Build(wanted, "", ""), "1", host)
    assert done == calls


def test_a_build_that_is_for_something_else_is_found_out(host: Host, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(building, "installed_backends", lambda: {"cpu"})
    monkeypatch.setattr(building, "_pip", lambda command, environment: None)
    monkeypatch.setattr(building, "wheel", lambda build, version, host: Path("/a.whl"))
    with pytest.raises(Impossible, match="is for cpu, not cuda"):
        building.install(Build("cuda", "-DGGML_CUDA=ON", ""), "1", host)


def test_what_is_installed_here_is_known():
    assert "cpu" in building.installed_backends()
    assert "base" not in building.installed_backends()


@pytest.mark.parametrize("broken", [True, False])
def test_without_debians_packages_there_is_no_gpu_in_software(tmp_path: Path, broken: bool):
    if broken:
        program = tmp_path / "apt-get"
        program.write_text("#!/bin/sh\nexit 100\n")
        program.chmod(0o700)
    environment = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "tests.gpu.software"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, bool(done.stderr)) == (UNAVAILABLE, True)
