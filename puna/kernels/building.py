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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SOURCES = Path(__file__).parent / "native"
LIBRARY = Path(__file__).parent / "libpuna_kernels.so"

# Sums are not contracted: the compiler might do it in one tile and not in another, and bits would differ.
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-ffp-contract=off", "-Wall", "-Wextra"]
_AVX2 = ["-mavx2", "-mfma", "-mf16c"]
_AVX512 = [f"-mavx512{part}" for part in ("f", "bw", "dq", "vl", "vnni")]
_AVX512BF16 = ["-mavx512bf16"]
_ARM = ["-fno-schedule-insns"]
"""GCC would begin all of a tile first, until registers run out. Clang does not know the flag, and goes on."""
_I8MM = ["-march=armv8.2-a+i8mm+bf16"]
_NEWEST = [*_AVX512BF16, *_I8MM]
"""What GCC knows from 10 on, Clang from 9 or 11 on."""
VARIANTS = {
    "x86_64": {
        "avx2": _AVX2,
        "avx512vnni": [*_AVX2, *_AVX512],
        "avx512bf16": [*_AVX2, *_AVX512, *_AVX512BF16],
    },
    "aarch64": {
        "neon": _ARM,
        "neondot": [*_ARM, "-march=armv8.2-a+dotprod"],
        "neoni8mm": [*_ARM, *_I8MM],
    },
}
"""For each family of processors: what a file in `variants` may use beside what all of the family have."""


def library() -> Path | None:
    """The compiled library; None if there is none."""
    return LIBRARY if LIBRARY.exists() else None


def build(target: Path = LIBRARY, flags: list[str] = FLAGS) -> str:
    """Compile the native code into `target`. Returns why that was not possible, "" if it was."""
    if family() not in VARIANTS or sys.platform == "win32":
        return f"there are none for {platform.machine()} on {sys.platform} yet"
    command = compiler()
    if command is None:
        return "there is no C++ compiler"
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / target.name
        wanted = sources(family())
        # Without its flag, the newest variant is compiled as one that runs nowhere.
        newest = {flag for own in wanted.values() for flag in own if flag in _NEWEST}
        unknown = [
            flag for flag in newest if _run([*command, flag, "-fsyntax-only", "-x", "c++", os.devnull])
        ]
        objects = [str(Path(folder) / f"{i}.o") for i in range(len(wanted))]

        def compile_one(source: Path, target: str) -> str:
            own = [flag for flag in wanted[source] if flag not in unknown]
            return _run([*command, *flags, *own, "-c", str(source), "-o", target])

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            wrong = next(filter(None, pool.map(compile_one, wanted, objects)), "")
        wrong = wrong or _run([*command, *flags, "-shared", *objects, "-o", str(made), "-pthread", "-ldl"])
        if not wrong:
            # Not over a library that an engine has loaded.
            shutil.copy(made, target.with_suffix(".new"))
            target.with_suffix(".new").replace(target)
        return wrong


def family() -> str:
    """This machine's family of processors, as `VARIANTS` spells it."""
    machine = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(machine, machine)


def sources(family: str) -> dict[Path, list[str]]:
    """All files to compile for a family of processors, and the flags that each needs besides."""
    variants = {SOURCES / "variants" / f"{name}.cpp": flags for name, flags in VARIANTS[family].items()}
    return {**{path: [] for path in sorted(SOURCES.glob("*.cpp"))}, **variants}


def compiler() -> list[str] | None:
    """The command that compiles C++: $CXX, or what is found; None if nothing is."""
    named = os.environ.get("CXX", "").split()
    candidates = [named] if named else [["c++"], ["g++"], ["clang++"]]
    return next((command for command in candidates if shutil.which(command[0])), None)


def _run(command: list[str]) -> str:
    """Why a command failed: the end of what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr[-2000:] or f"{command[0]} failed" if done.returncode else ""
