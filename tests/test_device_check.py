"""`make device-check` where there is no device: the processor stands for one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from benchmarks import cuda
from puna.engine.building import Host, choose_build, folder


def test_the_check_of_a_device_measures_all_that_it_says():
    command = [sys.executable, "-m", "benchmarks.device", "--dry"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    report = json.loads(output)
    found = report["tiny"]
    assert found["error of logits"] < 1e-3
    assert found["puna"]["two engines agree"]
    assert found["puna"]["size_vram"] > 0
    assert set(found["ratios"]) == {"prefill", "decode", "streams"}
    assert all(ratio > 0 for ratio in found["ratios"].values())


def test_a_toolkit_from_packages_is_one_that_libllama_is_compiled_with(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "lib").mkdir()
    nvcc = tmp_path / "bin/nvcc"
    nvcc.write_text("#!/bin/sh\necho release 13.0, V13.0.88\n")
    nvcc.chmod(0o755)
    for name in cuda.LIBRARIES:
        (tmp_path / "lib" / f"lib{name}.so.13").write_text(name)
    root = cuda.arranged(cuda.arranged(tmp_path))
    assert [(root / "lib64" / f"lib{name}.so").read_text() for name in cuda.LIBRARIES] == [*cuda.LIBRARIES]
    hosts = [Host(cuda.environment(root, card, {"PATH": os.defpath}), tmp_path) for card in ("90", "120")]
    builds = [choose_build(host) for host in hosts]
    assert {build.backend for build in builds} == {"cuda"}
    assert len({folder(build, "1.0", host) for build, host in zip(builds, hosts, strict=True)}) == 2


def test_what_is_carried_has_each_library_under_the_names_that_open_it(tmp_path: Path):
    package = "llama_cpp_python-1-py3-none-any.whl"
    names = [
        f"{folder}lib{library}.so{version}"
        for folder in ("lib/", "llama_cpp/lib/")
        for library in ("llama", "ggml-cuda")
        for version in ("", ".0", ".0.25.3")
    ]
    record = "llama_cpp_python-1.dist-info/RECORD"
    with ZipFile(tmp_path / package, "w") as whole:
        for name in ("llama_cpp/llama.py", "include/ggml.h", *names):
            whole.writestr(name, name)
        whole.writestr(record, "".join(f"{name},sha256=x,1\n" for name in whole.namelist()))
    wanted = [
        "llama_cpp/llama.py",
        *(f"llama_cpp/lib/lib{x}" for x in ("llama.so", "llama.so.0", "ggml-cuda.so.0")),
    ]
    with ZipFile(cuda.trimmed(tmp_path / package)) as part:
        assert part.namelist() == [*wanted, record]
        assert all(part.read(name) == name.encode() for name in wanted)
        assert part.read(record).decode().splitlines() == [f"{name},sha256=x,1" for name in wanted]
