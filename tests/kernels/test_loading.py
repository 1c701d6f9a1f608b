"""How weights come into memory: once, and the file stays as it was."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from gguf import GGMLQuantizationType as Quantisation

from puna.kernels import build, library
from tests.kernels.test_engine import ask
from tests.models import shape_model

LOAD = """
import json, re, sys
from puna.engine.libllama import LlamaModel
from puna.engine.libllama.kernels import start_kernels
def taken():
    text = open("/proc/self/status").read()
    return [int(re.search(what + r":\\s+(\\d+)", text)[1]) << 10 for what in ("VmRSS", "VmHWM")]
said = start_kernels()
before = taken()[0]
model = LlamaModel(sys.argv[1])
print(json.dumps([said, *(now - before for now in taken())]))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("loading") / "model.gguf"
    shape_model(path, width=1024, ffn=4096, heads=8, kv_heads=8, layers=4, quantisation=Quantisation.Q8_0)
    return path


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the memory")
def test_a_mapped_model_is_in_memory_once(model: Path):
    assert library() is not None or not build()
    command = [sys.executable, "-c", LOAD, str(model)]
    environment = os.environ | {"PUNA_KERNELS": "avx2"}

    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    said, then, at_most = json.loads(done.stdout)

    assert "q8_0" in said
    assert 0.9 < then / model.stat().st_size < 1.25
    assert at_most / model.stat().st_size < 1.4


def test_numbers_are_the_same_however_the_file_was_read(model: Path):
    assert library() is not None or not build()
    digest = hashlib.sha256(model.read_bytes()).digest()

    _, mapped = ask(model, PUNA_KERNELS="avx2")
    _, read = ask(model, PUNA_KERNELS="avx2", mapped=False)

    assert (mapped == read).all()
    assert hashlib.sha256(model.read_bytes()).digest() == digest
