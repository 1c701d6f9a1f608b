"""Compiles libllama for this machine's hardware: for `make run` and `python -m puna.engine.building`.

Nothing but Python's own library is imported, because `make run` does this before anything is installed.

pip's wheel cache ignores compile options. So a GPU build bypasses it and has its own folder, named by
all options and versions that shape it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

PACKAGE = "llama-cpp-python"
_NVIDIA, _AMD, _INTEL = "0x10de", "0x1002", "0x8086"
_VULKAN = (1, 3, 272)
"""The oldest headers that ggml's Vulkan backend is compiled with."""


@dataclass(frozen=True)
class Host:
    """What compiling depends on in a machine."""

    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))
    root: Path = Path("/")
    system: str = sys.platform

    def program(self, name: str, *places: str) -> Path | None:
        """The path of a program, on the PATH or in one of `places`."""
        on_path = shutil.which(name, path=self.environment.get("PATH", os.defpath))
        candidates = [Path(on_path)] if on_path else [self.root / place / name for place in places]
        return next((path for path in candidates if path.exists()), None)

    def cards(self) -> set[str]:
        """The vendors of the GPUs on the bus."""
        files = self.root.glob("sys/class/drm/card*/device/vendor")
        return {path.read_text().strip() for path in files}

    def prefixes(self) -> Iterator[Path]:
        """Folders where headers and CMake's packages may be."""
        named = [self.environment.get("VULKAN_SDK", "")]
        named += self.environment.get("CMAKE_PREFIX_PATH", "").split(os.pathsep)
        yield from (Path(name) for name in named if name)
        yield from (self.root / "usr", self.root / "usr/local")


@dataclass(frozen=True)
class Backend:
    """A GPU backend of ggml. `present`: whether a machine has such a GPU."""

    name: str
    option: str
    present: Callable[[Host], bool]
    missing: Callable[[Host], str]
    """Which tool is missing on a machine, in words; "" if none."""


def _no_metal(host: Host) -> str:
    return "" if host.system == "darwin" else "macOS"


def _no_cuda(host: Host) -> str:
    return (
        "" if host.program("nvcc", "usr/local/cuda/bin") else "nvcc (Debian: apt install nvidia-cuda-toolkit)"
    )


def _no_hip(host: Host) -> str:
    return "" if host.program("hipcc", "opt/rocm/bin") else "hipcc (AMD's ROCm, or Debian: apt install hipcc)"


def _no_sycl(host: Host) -> str:
    return (
        ""
        if host.program("icpx", "opt/intel/oneapi/compiler/latest/bin")
        else "icpx (Intel's oneAPI toolkit)"
    )


def _no_vulkan(host: Host) -> str:
    if not host.program("glslc", *(str(prefix / "bin") for prefix in host.prefixes())):
        return "glslc (Debian: apt install glslc)"
    headers = [numbers for prefix in host.prefixes() if (numbers := _headers(prefix))]
    if not headers or max(headers) < _VULKAN:
        has = f", here are {'.'.join(map(str, max(headers)))}" if headers else ""
        return f"Vulkan headers from 1.3.272 on (Debian 13: apt install libvulkan-dev{has})"
    config = "share/cmake/SPIRV-Headers/SPIRV-HeadersConfig.cmake"
    complete = any((prefix / config).exists() for prefix in host.prefixes())
    return "" if complete else "SPIRV-Headers (Debian: apt install spirv-headers)"


def _headers(prefix: Path) -> tuple[int, int, int] | None:
    """The version of the Vulkan headers below a prefix."""
    try:
        text = (prefix / "include/vulkan/vulkan_core.h").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    patch = re.search(r"define VK_HEADER_VERSION (\d+)", text)
    major = re.search(r"VK_HEADER_VERSION_COMPLETE VK_MAKE_API_VERSION\(\d+, (\d+), (\d+),", text)
    return (int(major[1]), int(major[2]), int(patch[1])) if patch and major else None


BACKENDS = (
    Backend("metal", "-DGGML_METAL=ON", lambda host: host.system == "darwin", _no_metal),
    Backend("cuda", "-DGGML_CUDA=ON", lambda host: _NVIDIA in host.cards() or _nvidia(host), _no_cuda),
    Backend("hip", "-DGGML_HIP=ON", lambda host: _AMD in host.cards(), _no_hip),
    Backend(
        "sycl",
        "-DGGML_SYCL=ON -DCMAKE_C_COMPILER=icx -DCMAKE_CXX_COMPILER=icpx",
        lambda host: _INTEL in host.cards(),
        _no_sycl,
    ),
    Backend(
        "vulkan", "-DGGML_VULKAN=ON", lambda host: bool(host.cards() & {_NVIDIA, _AMD, _INTEL}), _no_vulkan
    ),
)
"""The best first."""


def _nvidia(host: Host) -> bool:
    """In a container, a GPU shows only its driver."""
    return (host.root / "proc/driver/nvidia/version").exists()


@dataclass(frozen=True)
class Build:
    """What to compile, and why."""

    backend: str
    option: str
    why: str
    better: tuple[str, ...] = ()
    """What a better backend would need, in words."""


class Impossible(Exception):
    """The requested backend cannot be compiled here."""


def choose_build(host: Host) -> Build:
    """What to compile libllama for. Raises Impossible if PUNA_BACKEND requests what cannot be compiled."""
    requested = host.environment.get("PUNA_BACKEND", "").strip().lower()
    if requested == "cpu":
        return Build("cpu", "", "PUNA_BACKEND says so")
    if requested:
        backend = next((one for one in BACKENDS if one.name == requested), None)
        if backend is None:
            names = ", ".join(one.name for one in BACKENDS)
            raise Impossible(f"PUNA_BACKEND is {requested}, which is none of {names} and cpu")
        if missing := backend.missing(host):
            raise Impossible(f"PUNA_BACKEND is {requested}, which needs {missing}")
        return Build(requested, backend.option, "PUNA_BACKEND says so")
    better = []
    for backend in BACKENDS:
        if not backend.present(host):
            continue
        missing = backend.missing(host)
        if not missing:
            return Build(backend.name, backend.option, f"a GPU for {backend.name} is here", tuple(better))
        better.append(f"{backend.name} needs {missing}")
    return Build("cpu", "", "no GPU can be compiled for" if better else "no GPU was found", tuple(better))


def folder(build: Build, version: str, host: Host) -> Path:
    """The folder of a build's wheel: one for each combination of options and versions."""
    parts = [
        version,
        build.option,
        host.environment.get("CMAKE_ARGS", ""),
        platform.machine(),
        _toolkit(build, host),
    ]
    parts += [platform.libc_ver()[1], "".join(map(str, sys.version_info[:2]))]
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    cache = host.environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "puna" / "builds" / f"{build.backend}-{version}-{key}"


def _toolkit(build: Build, host: Host) -> str:
    """The version of the GPU's compiler."""
    program = {"cuda": "nvcc", "hip": "hipcc", "sycl": "icpx", "vulkan": "glslc"}.get(build.backend)
    where = program and host.program(program, "usr/local/cuda/bin", "opt/rocm/bin")
    if not where:
        return ""
    command, environment = [where, "--version"], dict(host.environment)
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def wheel(build: Build, version: str, host: Host) -> Path:
    """The wheel of a GPU build, compiled unless it is there. Raises CalledProcessError."""
    target = folder(build, version, host)
    if compiled := next(target.glob("*.whl"), None):
        print(f"It was compiled before: {compiled}", flush=True)
        return compiled
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as new:
        arguments = f"{build.option} {host.environment.get('CMAKE_ARGS', '')}".strip()
        requirement = f"{PACKAGE}=={version}"
        command = ["wheel", "--no-deps", "--no-cache-dir", "--no-binary", PACKAGE, "-w", new, requirement]
        _pip(command, {**host.environment, "CMAKE_ARGS": arguments})
        compiled = next(Path(new).glob("*.whl"))
        target.mkdir(exist_ok=True)
        return compiled.replace(target / compiled.name)


def installed_backends() -> set[str]:
    """The backends of the libllama that is installed; "cpu" is among them. Empty if none is."""
    try:
        files = metadata.files(PACKAGE) or []
    except metadata.PackageNotFoundError:
        return set()
    names = (re.match(r"(?:lib)?ggml-(\w+)\.(?:so|dylib|dll)\b", file.name) for file in files)
    return {match[1] for match in names if match} - {"base"}


def version() -> str:
    """The version of libllama's package that Puna wants."""
    project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    text = project.read_text() if project.exists() else "\n".join(metadata.requires("puna") or [])
    match = re.search(rf"{PACKAGE}==([\w.]+)", text)
    assert match is not None
    return match[1]


def install(build: Build, version: str, host: Host) -> None:
    """Install that build unless it is installed. Raises CalledProcessError, Impossible."""
    gpu = {one.name for one in BACKENDS}
    have = installed_backends()
    if have and have & gpu == {build.backend} & gpu:
        return
    if build.backend == "cpu":
        again = ["--force-reinstall", "--no-deps"] if have else []
        _pip(["install", *again, f"{PACKAGE}=={version}"], host.environment)
    else:
        _pip(["install", f"{PACKAGE} @ {wheel(build, version, host).as_uri()}"], host.environment)
    if {build.backend} & gpu != installed_backends() & gpu:
        raise Impossible(
            f"what was installed is for {' '.join(sorted(installed_backends()))}, not {build.backend}"
        )


def _pip(command: list[str], environment: Mapping[str, str]) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    subprocess.run([*pip, *command], env=dict(environment), check=True)


def main() -> None:
    """Install the best libllama for this machine; prints the choice, why, and what a better one needs."""
    host = Host()
    try:
        build = choose_build(host)
        print(f"libllama is for {build.backend}: {build.why}.", flush=True)
        for words in build.better:
            print(f"Better would be: {words}.", flush=True)
        install(build, version(), host)
    except Impossible as error:
        sys.exit(f"Error: {error}.")
    except subprocess.CalledProcessError as error:
        sys.exit(f"Error: compiling libllama failed (exit status {error.returncode}).")


if __name__ == "__main__":
    main()
