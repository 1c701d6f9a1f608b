"""Graphics cards that are not there, and scripted engines that take their memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from puna.errors import DeviceFailed
from puna.load import Device, Devices, DryRun, LoadSpec
from puna.scheduling import Scheduler
from puna.settings import FOREVER, Settings
from tests.scheduling.scripted import Launcher, ScriptedEngine

M = 1 << 20
RESERVE = 128 * M
HOST = 8 << 30


class Cards(Launcher):
    """Cards with so many MiB each.

    Engines take `takes` bytes of each card that they are placed on; the first `fails` do not start.
    """

    takes = 30 * M
    fails = 0

    def __init__(self, *sizes: int, held: bool = False) -> None:
        super().__init__(held=held)
        self.sizes = sizes
        self.looks = 0

    async def __call__(self, spec: LoadSpec) -> ScriptedEngine:
        engine = await super().__call__(spec)
        if self.fails:
            self.fails -= 1
            engine.closed = True
            raise DeviceFailed("unable to load model: out of memory")
        devices = dict.fromkeys(spec.placed.devices, self.takes)
        engine.info = replace(engine.info, devices=devices, size_vram=sum(devices.values()))
        return engine

    async def find(self) -> Devices:
        """Is a Scheduler's `find`: the cards, whose free memory counts what engines on them take."""
        self.looks += 1
        await asyncio.sleep(0)
        return Devices(backends=("cuda",), devices=tuple(map(self._card, range(len(self.sizes)))))

    def _card(self, i: int) -> Device:
        held = sum(e.info.devices.get(f"CUDA{i}", 0) for e in self.engines if not e.closed)
        return card(self.sizes[i], held, name=f"CUDA{i}")


def card(size: int, held: int = 0, *, name: str = "CUDA0") -> Device:
    """A card with so many MiB for models, of which so many bytes are taken."""
    total = RESERVE + size * M
    return Device(
        name=name, description="a card", backend="CUDA", shared=False, total=total, free=total - held
    )


def on_cards(
    *sizes: int,
    held: bool = False,
    dry_run: Callable[[LoadSpec], Awaitable[DryRun | None]] | None = None,
    **settings: Any,
) -> tuple[Cards, Scheduler]:
    """Cards with so many MiB, and a scheduler that places models on them, which stay."""
    cards = Cards(*sizes, held=held)
    settings = {"memory": HOST, "keep_alive": FOREVER} | settings
    return cards, Scheduler(Settings(**settings), cards, cards.find, dry_run=dry_run)
