"""libllama for an NVIDIA GPU elsewhere: `make device-build` compiles it without a GPU and without CUDA here.

NVIDIA's compiler and headers come as packages from the index, only unpacked, into a folder outside the
checkout. The wheel that comes of it is carried to the machine with the card. It needs cuBLAS of the same CUDA
there, which is too large to be carried.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from puna.engine import building

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "puna" / "cuda"
CUDA = "13.0"
PACKAGES = ("cuda-nvcc", "nvvm", "cuda-crt", "cuda-runtime", "cuda-cccl", "cublas")
LIBRARIES = ("cudart", "cublas", "cublasLt")
OPTIONS = "-DGGML_NATIVE=OFF -DGGML_CUDA_NO_VMM=ON"
"""For any processor with AVX2; without libcuda, which comes with the driver."""

OPENED = ("llama", "ggml", "mtmd")
"""The libraries that llama-cpp-python opens by name."""

HOPPER = "90"
MOST = 64 << 20
"""Bytes that are carried at most."""


def toolkit() -> Path:
    """The folder of CUDA's compiler, headers and libraries; fetched once."""
    kept = CACHE / CUDA
    if not kept.exists():
        new = CACHE / "new"
        shutil.rmtree(new, ignore_errors=True)
        wanted = [f"nvidia-{name}=={CUDA}.*" for name in PACKAGES]
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps"]
        subprocess.run([*pip, "--no-cache-dir", "--target", new, *wanted], check=True)
        new.rename(kept)
    return arranged(kept / "nvidia" / f"cu{CUDA.partition('.')[0]}")


def arranged(root: Path) -> Path:
    """`root`, with the names that CMake looks for beside those that the packages have."""
    links = {root / "lib64": "lib"}
    for name in LIBRARIES:
        links[root / "lib" / f"lib{name}.so"] = next((root / "lib").glob(f"lib{name}.so.*")).name
    for link, target in links.items():
        if not link.is_symlink():
            link.symlink_to(target)
    return root


def environment(root: Path, architecture: str, given: Mapping[str, str]) -> dict[str, str]:
    """What makes `building` compile with the toolkit below `root`, for cards of one architecture."""
    return {
        **given,
        "PATH": f"{root / 'bin'}:{given['PATH']}",
        "CUDAToolkit_ROOT": str(root),
        "CMAKE_ARGS": f"-DCMAKE_CUDA_ARCHITECTURES={architecture}-real {OPTIONS}",
        "PUNA_BACKEND": "cuda",
    }


def trimmed(wheel: Path) -> Path:
    """The wheel with each library once, in a folder beside it.

    llama-cpp-python's wheel holds each library six times: in two folders, as `x.so`, `x.so.0` and
    `x.so.0.25.3`. The loader needs the second, and ctypes the first of those that Python opens. Headers are
    for programs in C.
    """
    path = wheel.parent / "trimmed" / wheel.name
    path.parent.mkdir(exist_ok=True)
    with ZipFile(wheel) as whole, ZipFile(path, "w", ZIP_DEFLATED) as part:
        for name in filter(_needed, whole.namelist()):
            content = whole.read(name)
            if name.endswith(".dist-info/RECORD"):
                lines = content.decode().splitlines(keepends=True)
                content = "".join(line for line in lines if _needed(line.split(",")[0])).encode()
            part.writestr(whole.getinfo(name), content, ZIP_DEFLATED)
    return path


def _needed(name: str) -> bool:
    if name.startswith(("lib/", "include/")):
        return False
    library = re.search(r"/lib([\w-]+)\.so((?:\.\d+)*)$", name)
    return library is None or library[2].count(".") == 1 or (not library[2] and library[1] in OPENED)


def main() -> None:
    """Compile for the architecture that is named (default: Hopper's), and say what to carry."""
    architecture = sys.argv[1] if sys.argv[1:] else HOPPER
    host = replace(building.Host(), environment=environment(toolkit(), architecture, os.environ))
    wheel = trimmed(building.wheel(building.choose_build(host), building.version(), host))
    size = wheel.stat().st_size
    if size > MOST:
        sys.exit(f"Error: {wheel} has {size >> 20} MiB, more than {MOST >> 20} can be carried.")
    print(f"For sm_{architecture}, {size >> 20} MiB: {wheel}")


if __name__ == "__main__":
    main()
