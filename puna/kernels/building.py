"""Compiling the native code: for `python -m puna.kernels`, and the install's build hook.

Nothing but Python's own library is imported, because the hook runs before anything is installed.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent / "native"
LIBRARY = Path(__file__).parent / "libpuna_kernels.so"

# Sums are not contracted: the compiler might do it in one tile and not in another, and bits would differ.
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra"]
VARIANTS = {
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512vnni": [
        "-mavx2",
        "-mfma",
        "-mf16c",
        "-mavx512f",
        "-mavx512bw",
        "-mavx512dq",
        "-mavx512vl",
        "-mavx512vnni",
    ],
}
"""What a file in `variants` may use of the processor, beside what every x86-64 has."""


def library() -> Path | None:
    """The compiled library; None if there is none."""
    return LIBRARY if LIBRARY.exists() else None


def build(target: Path = LIBRARY, flags: list[str] = FLAGS) -> str:
    """Compile the native code into `target`. Returns why that was not possible, "" if it was."""
    if platform.machine().lower() not in ("x86_64", "amd64") or sys.platform == "win32":
        return f"there are none for {platform.machine()} on {sys.platform} yet"
    command = compiler()
    if command is None:
        return "there is no C++ compiler"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / target.name
        objects = {source: Path(folder) / f"{i}.o" for i, source in enumerate(sources())}

        def compile_one(source: Path) -> str:
            extra = VARIANTS[source.stem] if source.parent.name == "variants" else []
            return _run([*command, *flags, *extra, "-c", str(source), "-o", str(objects[source])])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            wrong = next(filter(None, pool.map(compile_one, objects)), "")
        wrong = wrong or _run(
            [*command, *flags, "-shared", *map(str, objects.values()), "-o", str(made), "-pthread", "-ldl"]
        )
        if not wrong:
            # Not over a library that an engine has loaded.
            shutil.copy(made, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)
        return wrong


def sources() -> Iterator[Path]:
    """All files to compile."""
    yield from sorted(SOURCES.rglob("*.cpp"))


def compiler() -> list[str] | None:
    """The command that compiles C++: $CXX, or what is found; None if nothing is."""
    named = os.environ.get("CXX", "").split()
    candidates = [named] if named else [["c++"], ["g++"], ["clang++"]]
    return next((command for command in candidates if shutil.which(command[0])), None)


def _run(command: list[str]) -> str:
    """Why a command failed: the end of what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr[-2000:] or f"{command[0]} failed" if done.returncode else ""
