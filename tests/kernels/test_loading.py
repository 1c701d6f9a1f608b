"""How weights come into memory: once, also those that are embeddings and output."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Quantisation

from puna.engine.ollama_gguf.edit import Edit
from puna.engine.ollama_gguf.edited import EditedFile
from puna.gguf import GGUFFile
from puna.kernels import build, library
from tests.kernels.test_engine import ask, stored_model
from tests.models import shape_model
from tests.ollama_models import rewritten

LOAD = """
import json, re, sys
from puna.engine.libllama import Context, LlamaModel
from puna.engine.libllama.kernels import start_kernels
def taken(what):
    return int(re.search(what + r":\\s+(\\d+)", open("/proc/self/status").read())[1]) << 10
said = start_kernels()
before = taken("VmRSS")
model = LlamaModel(sys.argv[1])
then, most, mapped = taken("VmRSS") - before, taken("VmHWM") - before, taken("RssFile")
context = Context(model, n_ctx=512, n_batch=512, n_seq=1, threads=2)
rows = slice(0, 512)
context.tokens[rows] = range(0, model.n_vocab, model.n_vocab // 512)
context.positions[rows] = range(512)
context.sequences[rows] = 0
context.wants_output[rows] = 0
assert context.decode(512) == 0
print(json.dumps([said, then, most, taken("RssFile") - mapped]))
"""

linux = pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the memory")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loading") / "model.gguf"
    shape_model(path, width=1024, ffn=4096, heads=8, kv_heads=8, layers=4, quantisation=Quantisation.Q8_0)
    return path


def as_mistral(key: str) -> str:
    return key.replace("llama.", "mistral3.")


def taken(model: Path) -> list[float]:
    """What a load takes of memory, then and at most, and what tokens of all its vocabulary add of its file.

    All in sizes of the file.
    """
    assert library() is not None or not build()
    command = [sys.executable, "-c", LOAD, str(model)]
    environment = os.environ | {"PUNA_KERNELS": "avx2"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    said, *bytes_taken = json.loads(done.stdout)
    assert "q8_0" in said
    return [some / model.stat().st_size for some in bytes_taken]


def tied_model(source: Path, target: Path, *, copied: bool = False) -> Path:
    """The model with its embeddings as its output; `copied`: as two tensors."""
    with GGUFFile(source) as file, target.open("wb") as out:
        tensors = {name: name for name in file.tensors if name != "output.weight"}
        if copied:
            tensors["output.weight"] = "token_embd.weight"
        EditedFile(file, Edit(tensors)).write(out)
    return target


@linux
def test_a_mapped_model_is_in_memory_once(model: Path):
    then, most, _ = taken(model)

    assert 0.9 < then < 1.25
    assert most < 1.4


@linux
def test_a_model_from_ollamas_converter_is_in_memory_once(model: Path, tmp_path: Path):
    more = {"mistral3.rope.scaling.beta_fast": 30.0}
    old = rewritten([model], tmp_path / "old.gguf", "mistral3", key=as_mistral, more=more)

    then, most, _ = taken(old)

    # The largest tensor is read at once, and the vocabulary is small.
    assert 0.9 < then < 1.25
    assert most < 1.4


@linux
def test_embeddings_that_are_the_output_too_are_in_memory_once(tmp_path: Path):
    whole = tmp_path / "whole.gguf"
    q8_0 = Quantisation.Q8_0
    shape_model(whole, width=1024, ffn=1024, heads=8, kv_heads=8, layers=1, vocab=32768, quantisation=q8_0)
    tied = tied_model(whole, tmp_path / "tied.gguf")

    then, most, read = taken(tied)

    # The embeddings are 0.8, and the vocabulary takes 0.2.
    assert 0.9 < then < 1.5
    assert most < 1.7
    assert read < 0.2


@pytest.mark.parametrize("kind", ["Q4_0", "Q4_K_M", "Q6_K", "F32"])
def test_embeddings_read_back_have_the_bits_that_libllama_reads(kind: str, tmp_path: Path):
    assert library() is not None or not build()
    whole = tmp_path / "whole.gguf"
    stored_model(whole, kind)
    tied = tied_model(whole, tmp_path / "tied.gguf")
    twice = tied_model(whole, tmp_path / "twice.gguf", copied=True)

    said, ours = ask(tied, PUNA_KERNELS="avx2")
    _, theirs = ask(twice, PUNA_KERNELS="avx2")
    _, alone = ask(tied, PUNA_KERNELS="avx2", threads=1, sizes=(1, 5, 16))

    assert kind[:4].lower() in said.lower()
    assert (ours == theirs).all()
    assert (ours == alone).all()


def test_numbers_are_the_same_however_the_file_was_read(model: Path):
    assert library() is not None or not build()
    digest = hashlib.sha256(model.read_bytes()).digest()

    _, mapped = ask(model, PUNA_KERNELS="avx2")
    _, read = ask(model, PUNA_KERNELS="avx2", mapped=False)

    assert (mapped == read).all()
    assert hashlib.sha256(model.read_bytes()).digest() == digest
