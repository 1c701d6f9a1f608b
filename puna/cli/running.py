"""The models in memory: `puna ps`, `stop`."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

import typer

from puna.cli.arguments import ModelName, NamePrefix
from puna.cli.columns import columns
from puna.cli.connection import CommandFailed, ModelMissing, connect
from puna.human import human_bytes, human_time


def list_running(
    name: NamePrefix = "",
    devices: Annotated[bool, typer.Option("--devices", help="List the GPUs instead.")] = False,
) -> None:
    """List running models."""
    if devices:
        _list_devices()
        return
    with connect() as client:
        models = client.ps().models
    now = datetime.now(timezone.utc)  # after the answer, in which a model that stops expires at that moment
    rows = [["NAME", "ID", "SIZE", "PROCESSOR", "CONTEXT", "UNTIL"]]
    for model in models:
        if not (model.name or "").startswith(name):
            continue
        size = model.size or 0
        rows.append(
            [
                model.name or "",
                (model.digest or "")[:12],
                human_bytes(size),
                processor(size, model.size_vram or 0),
                str(model.context_length or 0),
                _until(model.expires_at, now),
            ]
        )
    print(columns(rows))


def _until(expires: datetime | None, now: datetime) -> str:
    if expires is None:
        return "Never"
    return "Stopping..." if expires < now else human_time(expires, now)


def _list_devices() -> None:
    with connect() as client:
        response = client.devices()
    rows = [["NAME", "GPU", "FREE", "TOTAL"]]
    for device in response["devices"]:
        sizes = (human_bytes(device["free"]), human_bytes(device["total"]))
        rows.append([device["name"], device["description"], *sizes])
    print(columns(rows) if response["devices"] else "no GPU is used")
    if response["problem"]:
        print(response["problem"])


def processor(size: int, size_vram: int) -> str:
    """The placement of a model of `size` bytes, `size_vram` of them on GPUs: "100% GPU", …"""
    if size_vram == 0:
        return "100% CPU"
    if size_vram == size:
        return "100% GPU"
    if size_vram > size:
        return "Unknown"
    cpu = round((size - size_vram) / size * 100)
    return f"{cpu}%/{100 - cpu}% CPU/GPU"


def stop(model: ModelName) -> None:
    """Stop a running model."""
    try:
        with connect() as client:
            client.generate(model=model, keep_alive=0)
    except ModelMissing:
        raise CommandFailed(f'couldn\'t find model "{model}" to stop') from None
