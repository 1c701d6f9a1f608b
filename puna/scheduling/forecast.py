"""Describes what a load would get now, in an empty machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from puna.errors import PunaError
from puna.load import Device
from puna.options import Options
from puna.scheduling.choice import choose, describe
from puna.scheduling.facts import facts_of
from puna.scheduling.loads import no_place
from puna.scheduling.machine import device_room
from puna.scheduling.memory import Budget
from puna.scheduling.placement import Machine
from puna.settings import Settings

if TYPE_CHECKING:
    from puna.library import Model


def forecast(model: Model, settings: Settings, devices: Sequence[Device]) -> str:
    """Where `model` would be: "37 layers on CUDA0 (7345 MiB), context 4096"; or why it cannot be loaded."""
    host, _ = Budget(settings.memory).room(0, 0)
    machine = Machine(host, device_room(devices, [], [], settings)[0].devices)
    try:
        options, _ = Options().override(model.parameters)
        choice = choose(facts_of(model), options, settings, machine)
    except PunaError as error:
        return str(error)
    if not choice.fits:
        return str(no_place(choice, machine))
    return f"{describe(choice.spec.placed, choice.devices())}, context {choice.spec.num_ctx}"
