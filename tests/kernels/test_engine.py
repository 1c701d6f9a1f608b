"""The kernels inside the real libllama: the same answers as without them, and none where they do not fit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Quantisation
from numpy.typing import NDArray

from puna.engine.libllama import quantize
from puna.kernels import build, library
from tests.models import shape_model

ASK = """
import ctypes, json, sys
import numpy as np
import llama_cpp.llama_cpp as C
if sys.argv[2]:
    C._lib = ctypes.CDLL(sys.argv[2])
from puna.engine.libllama import Context, Model
from puna.engine.libllama.kernels import start_kernels
model = Model(sys.argv[1])
threads, sizes = json.loads(sys.argv[3])
context = Context(model, n_ctx=64, n_batch=64, n_seq=2, threads=threads)
rows = []
for size in sizes:
    context.tokens[:size] = np.arange(300 + len(rows), 300 + len(rows) + size)
    context.positions[:size] = np.arange(len(rows), len(rows) + size)
    context.wants_output[:size] = 1
    assert context.decode(size) == 0
    rows += [context.logits(row).tolist() for row in range(size)]
print(json.dumps([start_kernels(), rows]))
"""


def ask(
    model: Path, *, instead: str = "", threads: int = 2, sizes: tuple[int, ...] = (21, 1), **environment: str
) -> tuple[str, NDArray[np.float64]]:
    """What an engine says of its kernels, and logits of a text that is evaluated in pieces of these sizes."""
    command = [sys.executable, "-c", ASK, str(model), instead, json.dumps([threads, sizes])]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    said, rows = json.loads(done.stdout)
    return said, np.array(rows)


KINDS = ["Q4_0", "Q4_1", "Q5_0", "Q5_K_M", "Q4_K_M", "Q6_K", "Q3_K_M", "Q2_K", "Q8_0", "IQ4_XS", "BF16"]


@pytest.fixture(scope="module", params=KINDS)
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernels")
    shape_model(folder / "whole.gguf", width=256, ffn=512, heads=4, kv_heads=2, quantisation=Quantisation.F16)
    stored = folder / "stored.gguf"
    quantize(str(folder / "whole.gguf"), str(stored), request.param, threads=2, notice=lambda text: None)
    return stored


def test_logits_are_those_of_libllama(model: Path):
    assert library() is not None or not build()

    said, ours = ask(model, PUNA_KERNELS="avx2")
    none, theirs = ask(model, PUNA_KERNELS="0")

    assert said.startswith("avx2: ")
    assert none.startswith("off: ")
    error = ((ours - theirs) ** 2).sum() / (theirs**2).sum()
    # Both round activations to 8 bits, each in its own way.
    assert 0 < error < 2e-3


def test_logits_have_the_same_bits_however_a_text_is_cut_and_by_any_threads(model: Path):
    assert library() is not None or not build()

    said, whole = ask(model, PUNA_KERNELS="avx2")
    _, cut = ask(model, PUNA_KERNELS="avx2", sizes=(5, 1, 1, 9, 6))
    _, alone = ask(model, PUNA_KERNELS="avx2", threads=1, sizes=(1, 20, 1))

    assert "attention" in said
    assert (cut == whole).all()
    assert (alone == whole).all()


def test_another_ggml_works_without_them(tmp_path: Path):
    assert library() is not None or not build()
    shape_model(tmp_path / "model.gguf")
    # The release that a process reports is all that is foreign here.
    source = tmp_path / "other.c"
    source.write_text('const char *ggml_version(void) { return "0.99.0"; }\n')
    lib = (
        Path(
            subprocess.run(
                [sys.executable, "-c", "import llama_cpp; print(llama_cpp.__path__[0])"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
        )
        / "lib"
    )
    other = tmp_path / "libother.so"
    command = ["cc", "-shared", "-fPIC", str(source), "-o", str(other), "-Wl,--no-as-needed", f"-L{lib}"]
    subprocess.run([*command, "-l:libggml-cpu.so.0", "-l:libggml-base.so.0"], check=True)

    said, _ = ask(tmp_path / "model.gguf", instead=str(other), LD_LIBRARY_PATH=str(lib))

    assert said.startswith("off: ")
    assert "0.99.0" in said


def test_a_processor_without_the_variant_works_without_them(tmp_path: Path):
    assert library() is not None or not build()
    shape_model(tmp_path / "model.gguf")

    said, _ = ask(tmp_path / "model.gguf", PUNA_KERNELS="no-such-variant")

    assert said.startswith("off: ")
