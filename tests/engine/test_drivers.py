"""Which drivers the system says it has."""

from __future__ import annotations

from pathlib import Path

import pytest

from puna.engine import drivers

MODULE, STATUS = "sys/module/nvidia/version", "proc/driver/nvidia/version"
OPEN = (
    "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build  (builder@host)\n"
    "GCC version:  gcc version 13.3.0 (Ubuntu 13.3.0-6ubuntu2~24.04)\n"
)
CLOSED = "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.129.03  Thu Oct 19 18:56:32 UTC 2023\n"


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ({}, []),
        ({MODULE: "580.95.05\n"}, ["NVIDIA 580.95.05"]),
        ({STATUS: OPEN}, ["NVIDIA 580.95.05"]),
        ({STATUS: CLOSED}, ["NVIDIA 535.129.03"]),
        ({MODULE: "580.95.05\n", STATUS: OPEN}, ["NVIDIA 580.95.05"]),
        ({MODULE: "", STATUS: CLOSED}, ["NVIDIA 535.129.03"]),
        (
            {"sys/module/amdgpu/version": "6.12.12\n", "opt/rocm/.info/version": "6.4.1-83\n"},
            ["amdgpu 6.12.12", "ROCm 6.4.1"],
        ),
        ({MODULE: "no version\n"}, []),
    ],
)
def test_what_the_system_tells(tmp_path: Path, files: dict[str, str], found: list[str]):
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert drivers(tmp_path) == found


def test_what_cannot_be_read_is_left_out(tmp_path: Path):
    (tmp_path / MODULE).mkdir(parents=True)
    (tmp_path / STATUS).parent.mkdir(parents=True)
    (tmp_path / STATUS).write_bytes(b"\xff\xfe")
    assert drivers(tmp_path) == []
