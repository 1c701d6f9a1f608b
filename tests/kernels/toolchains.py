"""What compiles the kernels and runs them: this machine, and an emulated ARM processor beside it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from puna.kernels.building import compiler, family

KEPT = Path(__file__).resolve().parent.parent.parent / ".cache" / "aarch64"
"""Where `make test` unpacks a compiler and an emulator if the system has none."""


@dataclass(frozen=True)
class Toolchain:
    """What makes programs for a family of processors, and what runs them here."""

    family: str
    compiler: list[str]
    runner: list[str] = field(default_factory=list)
    """What a program is given to; nothing if it runs as it is."""
    environment: dict[str, str] = field(default_factory=dict)

    def run(self, program: Path) -> subprocess.CompletedProcess[str]:
        return self._run([*self.runner, str(program)])

    def compile(self, arguments: list[str]) -> None:
        done = self._run([*self.compiler, *arguments])
        assert done.returncode == 0, done.stderr

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self.environment
        return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


def own() -> Toolchain:
    found = compiler()
    assert found is not None, "there is no C++ compiler"
    return Toolchain(family(), [*found, "-fsanitize=address,undefined"])


def emulated_arm() -> Toolchain:
    """Programs are static, so that they need no library of that system."""
    flags = ["-fsanitize=undefined", "-fno-sanitize=vptr", "-static"]
    installed = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")
    if all(installed):
        return Toolchain("aarch64", [str(installed[0]), *flags], [str(installed[1]), "-cpu", "max"])
    programs = KEPT / "usr" / "bin"
    assert programs.exists(), "a compiler for ARM and an emulator are missing (`make .cache/aarch64`)"
    libraries = KEPT / "usr" / "lib" / f"{family()}-linux-gnu"
    return Toolchain(
        "aarch64",
        [str(programs / "aarch64-linux-gnu-g++"), f"--sysroot={KEPT}", *flags],
        [str(programs / "qemu-aarch64"), "-cpu", "max"],
        {"LD_LIBRARY_PATH": str(libraries)},
    )


def toolchains() -> list[Callable[[], Toolchain]]:
    """All that are tested on this machine."""
    return [own] if family() == "aarch64" else [own, emulated_arm]
