"""`python -m tests.server.two_cards serve`: a server with two GPUs, which the processor stands for.

What is placed on either is loaded on the processor, by a real engine.
"""

from __future__ import annotations

from msgspec.structs import replace

import puna.engine
from puna.cli import main
from puna.engine import EngineProcess, EngineStarter
from puna.load import Device, Devices, LoadSpec, Placed

NAMES = ("CUDA0", "CUDA1")
SIZE = 8 << 30
"""Bytes of each, so that an estimate is enough to place a small model."""


async def find_devices() -> Devices:
    one = Device(name="", description="a card", backend="CUDA", shared=False, total=SIZE, free=SIZE)
    return Devices(backends=("cuda",), devices=tuple(replace(one, name=name) for name in NAMES))


class StandIn(EngineStarter):
    """Starts engines that have no GPU."""

    async def start(self, spec: LoadSpec) -> EngineProcess:
        return await super().start(replace(spec, placed=Placed()))


if __name__ == "__main__":
    # Before the server is imported.
    puna.engine.find_devices = find_devices
    puna.engine.EngineStarter = StandIn
    main()
