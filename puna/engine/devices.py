"""Lists this machine's GPUs in a one-shot process, so that the server has no driver context on them."""

from __future__ import annotations

import asyncio
import importlib.util
from pathlib import Path

import msgspec

from puna.engine.building import Host, Impossible, choose_build
from puna.engine.one_shot import run_once
from puna.load import Device, Devices
from puna.settings import Settings

_MODULE = "puna.engine.libllama.devices"

_PATIENCE = 60.0
"""Seconds until the drivers must answer: a sleeping GPU takes some to wake."""

_GPU_BACKENDS = ("cuda", "hip", "metal", "vulkan", "sycl", "musa", "cann", "opencl")
"""ggml's GPU backends, by their libraries' names."""

_LIBRARY_NAMES = {"rocm": "hip", "mtl": "metal"}
"""Library names of backends that devices or settings name differently."""


def backends() -> tuple[str, ...]:
    """libllama's GPU backends, found by their libraries beside it."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return ()
    files = {path.name.split(".")[0] for path in (Path(spec.origin).parent / "lib").iterdir()}
    return tuple(name for name in _GPU_BACKENDS if files & {f"libggml-{name}", f"ggml-{name}"})


async def find_devices() -> Devices:
    """The usable GPUs and their free memory. It never raises: an error becomes the `problem`."""
    compiled = backends()
    if not compiled:
        return Devices(problem=_cpu_only_problem())
    try:
        devices = msgspec.json.decode(await run_once(_MODULE, patience=_PATIENCE), type=list[Device])
    except (OSError, asyncio.TimeoutError, msgspec.DecodeError) as error:
        problem = f"the GPU driver cannot be asked for its devices: {str(error) or 'it does not answer'}"
        return Devices(backends=compiled, problem=problem)
    if not devices:
        return Devices(backends=compiled, problem=f"the driver for {' and '.join(compiled)} shows no device")
    return admit(devices, Settings.from_environment(), compiled)


def _cpu_only_problem() -> str:
    """Why a GPU is not used when libllama was compiled for none; "" if there is no GPU."""
    try:
        build = choose_build(Host())
    except Impossible as error:
        return str(error)
    if build.backend != "cpu":
        return f"{build.why}, but libllama was compiled without it: run python -m puna.engine.building"
    return f"a GPU is here, but {' and '.join(build.better)}" if build.better else ""


def admit(devices: list[Device], settings: Settings, compiled: tuple[str, ...] = ()) -> Devices:
    """The devices that settings allow. A GPU that two backends list counts once."""
    admitted: list[Device] = []
    problems: list[str] = []
    for device in devices:
        if problem := _objection(device, settings):
            problems.append(f"{device.name} ({device.description}) is not used: {problem}")
        elif not (device.id and device.id in {other.id for other in admitted}):
            admitted.append(device)
    return Devices(backends=compiled, devices=tuple(admitted), problem="; ".join(problems))


def _objection(device: Device, settings: Settings) -> str:
    """Why a device may not be used; "" if it may."""
    library = _LIBRARY_NAMES.get(device.backend.lower(), device.backend.lower())
    requested = settings.llm_library.lower().partition("_")[0]
    if not device.total:
        return "its driver reports no memory"
    if requested and _LIBRARY_NAMES.get(requested, requested) != library:
        return f"OLLAMA_LLM_LIBRARY is {settings.llm_library}"
    if library == "vulkan" and not settings.vulkan:
        return "OLLAMA_VULKAN is off"
    # As in Ollama: NVIDIA's integrated GPUs count by default; others are hardly faster than the CPU.
    if device.shared and library != "metal":
        wants = library == "cuda" if settings.integrated is None else settings.integrated
        return "" if wants else "it is integrated (OLLAMA_IGPU_ENABLE=1 uses it)"
    return ""
