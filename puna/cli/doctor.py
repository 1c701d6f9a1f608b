"""`puna doctor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from puna.cli.arguments import Insecure
from puna.cli.connection import CommandFailed
from puna.cli.display import Display
from puna.errors import PunaError
from puna.human import human_bytes
from puna.settings import Settings

if TYPE_CHECKING:
    from puna.library import AllowedHosts, Finding, Library, Name
    from puna.load import Device, Devices
    from puna.types import Progress


def doctor(
    fix: Annotated[
        bool, typer.Option("--fix", help="Remove what is damaged or unused, pull it again.")
    ] = False,
    insecure: Insecure = False,
) -> None:
    """Check every model on this machine."""
    import asyncio

    # Not over HTTP: this command checks the store and the engine directly, with or without a server.
    from puna.engine import drivers, find_devices, kernels
    from puna.library import AllowedHosts, Library, check

    print(f"kernels {kernels()}")
    devices = asyncio.run(find_devices())
    _print_devices(devices, drivers())
    settings = Settings.from_environment()
    library = Library(settings.models, no_prune=settings.no_prune)
    if devices.devices:
        _print_placements(library, settings, devices.devices)
    try:
        with Display() as display:
            findings = check(library, lambda step: _show(display, step, "checking"))
        allowed = AllowedHosts(settings.registries)
        remaining = _repair(library, findings, insecure, allowed) if fix else _report(findings)
    except PunaError as error:
        raise CommandFailed(str(error)) from error
    if not remaining:
        print(f"no problems{' left' * fix} in {settings.models}")
    else:
        hint = "" if fix else "; `puna doctor --fix` repairs what can be repaired"
        raise CommandFailed(f"{remaining} problem{'s' * (remaining != 1)} in {settings.models}{hint}")


def _print_devices(devices: Devices, drivers: Sequence[str]) -> None:
    print(f"GPU backends {' '.join(devices.backends) or 'none: libllama was compiled for the CPU alone'}")
    if drivers:
        print(f"drivers {', '.join(drivers)}")
    for device in devices.devices:
        free, total = human_bytes(device.free), human_bytes(device.total)
        print(f"{device.name} {device.description}: {free} of {total} free")
    if devices.problem:
        print(devices.problem)


def _print_placements(library: Library, settings: Settings, devices: Sequence[Device]) -> None:
    """Print where each model would be placed if it were loaded now, alone."""
    from puna.scheduling import forecast

    for model in library.list():
        print(f"{model.name.display()}: {forecast(model, settings, devices)}")


def _report(findings: list[Finding]) -> int:
    """Print each finding; returns the number of findings that break something."""
    for finding in findings:
        print(f"{finding.problem}{_room(finding)}")
    return sum(finding.kind != "foreign" for finding in findings)


def _repair(library: Library, findings: list[Finding], insecure: bool, allowed: AllowedHosts) -> int:
    """Repair the findings and print each outcome; returns the number of remaining problems."""
    from puna.library import repair, restore

    with Display() as display:

        def pull(name: Name) -> None:
            restore(
                library,
                name,
                lambda step: _show(display, step, step.status),
                insecure=insecure,
                allowed=allowed,
            )

        outcomes = repair(library, findings, pull)
    for outcome in outcomes:
        print(f"{outcome.finding.problem}{_room(outcome.finding)}\n  {outcome.note}")
    return sum(not outcome.fixed for outcome in outcomes)


def _show(display: Display, step: Progress, label: str) -> None:
    # One bar for all blobs of a check; a pull has one for each.
    key = label if label == "checking" else step.digest
    display.feed(step.status, key, step.total, step.completed, label=label)


def _room(finding: Finding) -> str:
    return f" ({human_bytes(finding.size)})" if finding.size else ""
