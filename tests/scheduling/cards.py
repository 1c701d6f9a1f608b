"""Graphics cards that are not there, and scripted engines that take their memory."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from puna.errors import DeviceFailed
from puna.load import Device, Devices, LoadSpec
from tests.scheduling.scripted import Launcher, ScriptedEngine

M = 1 << 20
RESERVE = 128 * M


class Found:
    """Is a Scheduler's `find`: devices whose free memory counts what engines on them take."""

    def __init__(self, launcher: Cards, *totals: int) -> None:
        self.launcher = launcher
        self.totals = totals
        self.asked = 0

    async def __call__(self) -> Devices:
        self.asked += 1
        await asyncio.sleep(0)
        devices = []
        for i, total in enumerate(self.totals):
            held = sum(e.info.devices.get(f"CUDA{i}", 0) for e in self.launcher.engines if not e.closed)
            free = RESERVE + total - held
            devices.append(
                Device(
                    name=f"CUDA{i}",
                    description="a card",
                    backend="CUDA",
                    shared=False,
                    total=RESERVE + total,
                    free=free,
                )
            )
        return Devices(backends=("cuda",), devices=tuple(devices))


class Cards(Launcher):
    """Engines that take `takes` bytes on each device they are placed on; the first `fails` do not start."""

    takes = 30 * M
    fails = 0

    async def __call__(self, spec: LoadSpec) -> ScriptedEngine:
        engine = await super().__call__(spec)
        if self.fails:
            self.fails -= 1
            engine.closed = True
            raise DeviceFailed("unable to load model: out of memory")
        devices = dict.fromkeys(spec.placed.devices, self.takes)
        engine.info = replace_info(engine, devices)
        return engine


def replace_info(engine: ScriptedEngine, devices: dict[str, int]) -> Any:
    return msgspec.structs.replace(engine.info, devices=devices, size_vram=sum(devices.values()))
