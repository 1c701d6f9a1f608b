"""The native code alone: every kernel that this processor can run, under the sanitizers."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from puna.kernels.building import FLAGS, SOURCES, VARIANTS, compiler, sources

SANITIZED = [*FLAGS, "-O1", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
PROGRAM = Path(__file__).with_name("products.cpp")


def test_every_kernel_is_right_in_every_shape_and_gives_the_same_bits_in_every_batch(tmp_path: Path):
    command = compiler()
    assert command is not None

    def compile_one(source: Path) -> str:
        made = tmp_path / f"{source.parent.name}-{source.stem}.o"
        extra = VARIANTS[source.stem] if source.parent.name == "variants" else []
        flags = [*SANITIZED, *extra, f"-I{SOURCES}"]
        subprocess.run([*command, *flags, "-c", str(source), "-o", str(made)], check=True)
        return str(made)

    # All but the way into libllama, which this program does without.
    files = [path for path in sources() if path.stem not in ("dispatch", "ggml")]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        objects = list(pool.map(compile_one, [*files, PROGRAM]))
    program = tmp_path / "products"
    subprocess.run([*command, *SANITIZED, *objects, "-pthread", "-o", str(program)], check=True)

    ended = subprocess.run([program], capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "kernels" in ended.stdout
