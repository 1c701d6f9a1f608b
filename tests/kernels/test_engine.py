"""The kernels inside the real libllama: the same answers as without them, and none where they do not fit."""

from __future__ import annotations

import functools
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Quantisation
from numpy.typing import NDArray

from puna.engine.libllama import quantize
from puna.kernels import build, building, library
from tests.models import mixture_model, shape_model

ASK = """
import ctypes, json, os, pathlib, sys
import numpy as np
import llama_cpp.llama_cpp as C
from puna.kernels import building
if sys.argv[2]:
    C._lib = ctypes.CDLL(sys.argv[2])
if "LIBRARY" in os.environ:
    building.LIBRARY = pathlib.Path(os.environ["LIBRARY"])
from puna.engine.libllama import Context, LlamaModel
from puna.engine.libllama.kernels import start_kernels
threads, sizes, beside, cells, shared, mapped = json.loads(sys.argv[3])
model = LlamaModel(sys.argv[1], use_mmap=mapped)
context = Context(model, n_ctx=1024, n_batch=512, n_seq=2 + beside, threads=threads, kv_cache_type=cells)
before, rows, mine = beside // 2, [], 0
for step, size in enumerate(sizes):
    start, end = len(rows), len(rows) + size
    if shared and start:
        context.share(mine, 1, 0, start)
        mine = 1
    all = slice(0, size + beside)
    context.tokens[all] = [*range(before), *range(300 + start, 300 + end), *range(before, beside)]
    context.positions[all] = [*[step] * before, *range(start, end), *[step] * (beside - before)]
    context.sequences[all] = [*range(2, 2 + before), *[mine] * size, *range(2 + before, 2 + beside)]
    context.wants_output[all] = 1
    assert context.decode(size + beside) == 0
    rows += [context.logits(row).tolist() for row in range(before, before + size)]
print(json.dumps([start_kernels(), rows]))
"""


@functools.cache
def ask(
    model: Path,
    *,
    instead: str = "",
    threads: int = 2,
    sizes: tuple[int, ...] = (21, 1),
    beside: int = 0,
    cells: str = "f16",
    shared: bool = False,
    mapped: bool = True,
    **environment: str,
) -> tuple[str, NDArray[np.float64]]:
    """What an engine says of its kernels, and logits of a text that is evaluated in pieces of these sizes.

    beside: other sequences with a token in each piece's batch. cells: what K and V are stored as.
    shared: the second piece is of another sequence, which has the first from the cache.
    mapped: the model's file is mapped, and not read.

    What was asked before is not asked again, because each question costs a process.
    """
    wanted = json.dumps([threads, sizes, beside, cells, shared, mapped])
    command = [sys.executable, "-c", ASK, str(model), instead, wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)
    assert done.returncode == 0, done.stderr
    said, rows = json.loads(done.stdout)
    return said, np.array(rows)


_PROCESSOR = Path("/proc/cpuinfo").read_text()
VARIANTS = [
    "avx2",
    *(name for name in ("avx512bf16", "avx512vnni") if name.replace("512", "512_") in _PROCESSOR),
][:2]
"""One that every processor here has, and the best of this one."""

KINDS = [
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_K_M",
    "Q4_K_M",
    "Q6_K",
    "Q3_K_M",
    "Q2_K",
    "Q8_0",
    "IQ4_XS",
    "BF16",
    "F16",
    "F32",
]


def stored_model(path: Path, kind: str) -> None:
    whole = path.with_suffix(".whole")
    if kind == "mixture":
        mixture_model(path, width=256, ffn=512, heads=4, kv_heads=2, quantisation=Quantisation.Q8_0)
        return
    shape_model(whole, width=256, ffn=512, heads=4, kv_heads=2, quantisation=Quantisation.F16)
    quantize(str(whole), str(path), kind, threads=2, notice=lambda text: None)


@pytest.fixture(scope="module", params=[*KINDS, "mixture"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("kernels") / "model.gguf"
    stored_model(path, request.param)
    return path


@pytest.fixture(params=VARIANTS)
def variant(request: pytest.FixtureRequest) -> str:
    return request.param


def test_logits_are_those_of_libllama(model: Path, variant: str):
    assert library() is not None or not build()

    said, ours = ask(model, PUNA_KERNELS=variant)
    none, theirs = ask(model, PUNA_KERNELS="0")

    assert said.startswith(f"{variant}: ")
    assert none.startswith("off: ")
    error = ((ours - theirs) ** 2).sum() / (theirs**2).sum()
    # Both round activations to 8 bits, each in its own way.
    assert 0 < error < 2e-3


def test_logits_have_the_same_bits_however_a_text_is_cut_and_by_any_threads(model: Path, variant: str):
    assert library() is not None or not build()

    said, whole = ask(model, PUNA_KERNELS=variant)
    _, cut = ask(model, PUNA_KERNELS=variant, sizes=(5, 1, 1, 9, 6))
    _, alone = ask(model, PUNA_KERNELS=variant, threads=1, sizes=(1, 20, 1))

    assert "attention" in said
    assert (cut == whole).all()
    assert (alone == whole).all()


def test_logits_have_the_same_bits_beside_other_sequences_and_after_a_cache_hit(model: Path, variant: str):
    assert library() is not None or not build()

    _, alone = ask(model, PUNA_KERNELS=variant)
    _, beside = ask(model, PUNA_KERNELS=variant, beside=16, sizes=(1, 2, 18, 1))
    _, shared = ask(model, PUNA_KERNELS=variant, beside=3, shared=True, sizes=(13, 9))

    assert (beside == alone).all()
    assert (shared == alone).all()


@pytest.mark.parametrize("cells", ["q8_0", "q4_0"])
def test_logits_over_quantised_cells(cells: str, variant: str, tmp_path: Path):
    assert library() is not None or not build()
    model = tmp_path / "model.gguf"
    stored_model(model, "Q4_K_M")

    _, exact = ask(model, PUNA_KERNELS=variant)
    _, whole = ask(model, PUNA_KERNELS=variant, cells=cells)
    _, cut = ask(model, PUNA_KERNELS=variant, cells=cells, beside=5, sizes=(5, 1, 10, 6), threads=1)
    _, theirs = ask(model, PUNA_KERNELS="0", cells=cells)

    assert (cut == whole).all()
    assert (whole != exact).any()
    # libllama rounds queries to 8 bits to meet such cells, the kernels do not.
    assert ((whole - theirs) ** 2).sum() / (theirs**2).sum() < 1e-2


WRONG = {
    "q6_K": ("decode.h", "I::broadcast_byte(48)", "I::broadcast_byte(32)"),
    "attention": ("attention.h", "LOG2_E = 1.44", "LOG2_E = 1.54"),
}
"""What makes the numbers of Q6_K wrong, and attention."""


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to change and compile. The largest variant is left out of it, because it takes long."""
    sources = tmp_path / "native"
    shutil.copytree(building.SOURCES, sources)
    nowhere = '{"avx512vnni", true, [] { return false; }, nullptr, nullptr, nullptr}'
    (sources / "variants" / "avx512vnni.cpp").write_text(f"""
        #include "../kernel.h"
        namespace puna {{
        extern const Variant AVX512VNNI;
        const Variant AVX512VNNI{nowhere};
        }}
    """)
    monkeypatch.setattr(building, "SOURCES", sources)
    return sources


@pytest.mark.parametrize(("wrong", "rest"), [("q6_K", "attention"), ("attention", "weights")])
def test_what_computes_wrong_is_left_to_libllama_alone(wrong: str, rest: str, tmp_path: Path, sources: Path):
    name, before, after = WRONG[wrong]
    text = (sources / name).read_text()
    assert before in text
    (sources / name).write_text(text.replace(before, after))
    # Not optimised, which compiles faster; the bits are the same because sums are never contracted.
    assert not build(tmp_path / "wrong.so", [*building.FLAGS, "-O0"])
    model = tmp_path / "model.gguf"
    stored_model(model, "Q6_K")

    said, ours = ask(model, PUNA_KERNELS="avx2", LIBRARY=str(tmp_path / "wrong.so"))
    _, without = ask(model, PUNA_KERNELS=f"avx2,{rest}")

    used, _, unused = said.partition("; wrong, and not used: ")
    assert unused == wrong
    assert {"q4_K", "q6_K", "attention"} - {wrong} <= set(used.split())
    assert (ours == without).all()


def test_weights_and_attention_each_have_a_switch(tmp_path: Path):
    assert library() is not None or not build()
    model = tmp_path / "model.gguf"
    stored_model(model, "Q4_K_M")

    said, rows = {}, {}
    for wanted in ("1", "0", "weights", "attention"):
        said[wanted], rows[wanted] = ask(model, PUNA_KERNELS=wanted)
    best = said["1"].partition(":")[0]
    named, rows_named = ask(model, PUNA_KERNELS=f"{best}, Attention")
    lower, _ = ask(model, PUNA_KERNELS="avx2, attention")

    assert said["weights"] + " attention" == said["1"]
    assert said["attention"] == named == f"{best}: attention"
    assert lower == "avx2: attention"
    assert (rows["attention"] == rows_named).all()
    for one, other in itertools.combinations(("1", "0", "weights", "attention"), 2):
        assert (rows[one] != rows[other]).any(), (one, other)


@pytest.mark.usefixtures("sources")
def test_a_compiler_that_does_not_know_the_newest_instructions_makes_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    older = tmp_path / "older-c++"
    newest = "*' -mavx512bf16 '*) echo unknown >&2; exit 1"
    older.write_text(f'#!/bin/sh\ncase " $* " in {newest};; esac\nexec c++ "$@"\n')
    older.chmod(0o755)
    monkeypatch.setenv("CXX", str(older))
    assert not build(tmp_path / "older.so", [*building.FLAGS, "-O0"])
    shape_model(tmp_path / "model.gguf")

    said, _ = ask(tmp_path / "model.gguf", LIBRARY=str(tmp_path / "older.so"))

    assert said.partition(":")[0] == "avx2"


def test_a_library_compiled_from_other_sources_stays_out(tmp_path: Path):
    (tmp_path / "other.c").write_text("int puna_kernels(void) { return 1; }\n")
    other = tmp_path / "other.so"
    subprocess.run(["cc", "-shared", "-fPIC", tmp_path / "other.c", "-o", other], check=True)
    shape_model(tmp_path / "model.gguf")

    said, _ = ask(tmp_path / "model.gguf", LIBRARY=str(other))

    assert said.startswith("off: ")


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
