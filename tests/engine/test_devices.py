"""Which GPUs may be used, and what is said where there are none or their driver fails."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from puna.engine import devices, find_devices
from puna.engine.building import Host
from puna.engine.devices import admit
from puna.load import Device
from puna.settings import Settings
from tests.engine.test_building import NVIDIA, card, tool


def gpu(name: str, *, shared: bool = False, total: int = 8 << 30, id: str = "") -> Device:
    backend = name.rstrip("0123456789")
    return Device(
        name=name, description="a card", backend=backend, shared=shared, id=id, total=total, free=total
    )


CARDS = [
    gpu("CUDA0", id="0000:01:00.0"),
    gpu("CUDA1", shared=True),
    gpu("ROCm0", id="0000:02:00.0"),
    gpu("Vulkan0", shared=True),
    gpu("Vulkan1", id="0000:03:00.0"),
    gpu("MTL0", shared=True),
]


@pytest.mark.parametrize(
    ("environment", "names"),
    [
        ({}, "CUDA0 CUDA1 ROCm0 Vulkan1 MTL0"),
        ({"OLLAMA_IGPU_ENABLE": "1"}, "CUDA0 CUDA1 ROCm0 Vulkan0 Vulkan1 MTL0"),
        ({"OLLAMA_IGPU_ENABLE": "0"}, "CUDA0 ROCm0 Vulkan1 MTL0"),
        ({"OLLAMA_VULKAN": "0"}, "CUDA0 CUDA1 ROCm0 MTL0"),
        ({"OLLAMA_LLM_LIBRARY": "cuda_v13"}, "CUDA0 CUDA1"),
        ({"OLLAMA_LLM_LIBRARY": "rocm"}, "ROCm0"),
        ({"OLLAMA_LLM_LIBRARY": "vulkan"}, "Vulkan1"),
        ({"OLLAMA_LLM_LIBRARY": "cpu_avx2"}, ""),
    ],
)
def test_settings_say_which_devices_are_used(environment: dict[str, str], names: str):
    found = admit(CARDS, Settings.from_environment(environment))
    assert [device.name for device in found.devices] == names.split()
    unused = {device.name for device in CARDS} - set(names.split())
    assert all(name in found.problem for name in unused)


def test_a_card_that_two_backends_show_counts_once():
    twice = [
        gpu("CUDA0", id="0000:01:00.0"),
        gpu("Vulkan0", id="0000:01:00.0"),
        gpu("Vulkan1"),
        gpu("Vulkan2"),
    ]
    found = admit(twice, Settings())
    assert [device.name for device in found.devices] == ["CUDA0", "Vulkan1", "Vulkan2"]


def test_a_device_without_memory_is_not_used():
    found = admit([gpu("CUDA0", total=0), gpu("CUDA1")], Settings())
    assert [device.name for device in found.devices] == ["CUDA1"]
    assert "CUDA0" in found.problem


async def test_what_is_compiled_is_what_is_asked():
    found = await find_devices()
    assert found.backends == devices.backends()
    assert bool(found.backends) or not found.devices


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("print('[]')", "no device"),
        ("print('[{')", "cannot be asked"),
        ("raise SystemExit('the driver is too old')", "the driver is too old"),
        ("import os; os.abort()", "exit status -6"),
        ("import time; time.sleep(60)", "does not answer"),
    ],
)
async def test_a_driver_that_fails_is_a_problem_and_no_error(
    answer: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    driver = tmp_path / "driver"
    driver.write_text(f"#!{sys.executable}\n{answer}\n")
    driver.chmod(0o755)
    monkeypatch.setattr(devices, "backends", lambda: ("cuda",))
    monkeypatch.setattr(devices, "_PATIENCE", 1.0)
    monkeypatch.setattr(sys, "executable", str(driver))
    started: list[asyncio.subprocess.Process] = []
    start = asyncio.create_subprocess_exec

    async def record(*command: Any, **options: Any) -> asyncio.subprocess.Process:
        started.append(await start(*command, **options))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", record)
    found = await find_devices()
    assert found.devices == ()
    assert said in found.problem
    # A killed driver is not waited for: close its pipes while the loop still runs.
    await started[0].communicate()


@pytest.mark.parametrize(
    ("tools", "asked", "said"),
    [
        ([], "", "a GPU is here, but cuda needs nvcc"),
        (["nvcc"], "", "a GPU for cuda is here, but libllama was compiled without it"),
        (["nvcc"], "cpu", ""),
        ([], "cuda", "PUNA_BACKEND is cuda, which needs nvcc"),
        ([], "gpu", "none of metal, cuda"),
    ],
)
async def test_a_card_that_nothing_is_compiled_for_is_told_of(
    tools: list[str], asked: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    host = Host({"PATH": str(tmp_path / "bin"), "PUNA_BACKEND": asked}, tmp_path, "linux")
    card(host, NVIDIA)
    for name in tools:
        tool(host, name)
    monkeypatch.setattr(devices, "backends", tuple)
    monkeypatch.setattr(devices, "Host", lambda: host)
    found = await find_devices()
    assert found.devices == ()
    assert said in found.problem
    assert bool(said) == bool(found.problem)
