"""The native code alone: every kernel that this processor can run, under the sanitizers."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from puna.kernels.building import FLAGS, SOURCES, VARIANTS, compiler, sources

SANITIZED = [*FLAGS, "-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]


def compile_one(source: Path, folder: Path) -> str:
    made = folder / f"{source.parent.name}-{source.stem}.o"
    extra = VARIANTS[source.stem] if source.parent.name == "variants" else []
    flags = [*SANITIZED, *extra, f"-I{SOURCES}"]
    subprocess.run([*(compiler() or []), *flags, "-c", str(source), "-o", str(made)], check=True)
    return str(made)


@pytest.fixture(scope="module")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """All compiled files but the way into libllama, which the programs do without."""
    folder = tmp_path_factory.mktemp("kernels")
    files = [path for path in sources() if path.stem not in ("dispatch", "ggml")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda path: compile_one(path, folder), files))


# A row has the same bits in every batch and, in attention, wherever its cells lie.
@pytest.mark.parametrize("name", ["products", "attention"])
def test_every_kernel_is_right_and_gives_the_same_bits(name: str, kernels: list[str], tmp_path: Path):
    main = compile_one(Path(__file__).with_name(f"{name}.cpp"), tmp_path)
    program = tmp_path / name
    subprocess.run(
        [*(compiler() or []), *SANITIZED, *kernels, main, "-pthread", "-o", str(program)], check=True
    )

    ended = subprocess.run([program], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout
