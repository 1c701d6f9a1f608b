"""The native code alone, under the sanitizers: all kernels that this processor can run, and those for ARM."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from puna.kernels.building import FLAGS, SOURCES, VARIANTS, sources
from tests.kernels.toolchains import Toolchain, toolchains

SANITIZED = [*FLAGS, "-O1", "-g1", "-fno-sanitize-recover=all", "-DPUNA_INLINE=inline", f"-I{SOURCES}"]
NOT_ALONE = ("dispatch", "ggml")
"""The way into libllama, which the programs do without."""


class Native:
    """All files but the way into libllama, compiled for one family of processors."""

    def __init__(self, toolchain: Toolchain, folder: Path) -> None:
        self.toolchain = toolchain
        self._folder = folder
        wanted = {
            path: flags for path, flags in sources(toolchain.family).items() if path.stem not in NOT_ALONE
        }
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            self._objects = list(pool.map(self._compile, wanted, wanted.values()))

    def _compile(self, source: Path, flags: list[str]) -> str:
        made = self._folder / f"{source.parent.name}-{source.stem}.o"
        self.toolchain.compile([*SANITIZED, *flags, "-c", str(source), "-o", str(made)])
        return str(made)

    def program(self, name: str) -> Path:
        main = self._compile(Path(__file__).with_name(f"{name}.cpp"), [])
        made = self._folder / name
        self.toolchain.compile([*SANITIZED, *self._objects, main, "-pthread", "-o", str(made)])
        return made


@pytest.fixture(scope="module", params=toolchains())
def native(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Native:
    return Native(request.param(), tmp_path_factory.mktemp("kernels"))


# A row has the same bits in every batch and, in attention, wherever its cells lie.
@pytest.mark.parametrize("name", ["products", "attention", "drawing"])
def test_every_kernel_is_right_and_gives_the_same_bits(name: str, native: Native):
    ended = native.toolchain.run(native.program(name))

    assert ended.returncode == 0, ended.stdout + ended.stderr
    ran = {line.partition(":")[0] for line in ended.stdout.splitlines()}
    assert ran
    # An emulated processor has everything.
    assert ran == set(VARIANTS[native.toolchain.family]) or not native.toolchain.runner
