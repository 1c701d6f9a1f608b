"""The output of `puna show`: sections in Ollama's order and format (Ollama cmd.go, showInfo)."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any

from puna.cli.columns import columns
from puna.human import human_number


def details_text(model: dict[str, Any], *, verbose: bool = False) -> str:
    """The sections of an `/api/show` answer, without empty ones."""
    return "\n".join(
        f"  {title}\n{columns([['', *row] for row in rows])}\n"
        for title, rows in _sections(model, verbose)
        if rows
    )


def _sections(model: dict[str, Any], verbose: bool) -> Iterator[tuple[str, list[list[str]]]]:
    yield "Model", _model(model)
    yield "Capabilities", [[capability] for capability in model.get("capabilities") or []]
    yield "Projector", _projector(model.get("projector_info") or {})
    parameters: str = model.get("parameters") or ""
    yield "Parameters", [line.split(None, 1) for line in parameters.splitlines() if line.strip()]
    if verbose:
        yield (
            "Metadata",
            [[key, _value(value)] for key, value in sorted((model.get("model_info") or {}).items())],
        )
        yield (
            "Tensors",
            [
                [t["name"], t["type"], f"[{' '.join(map(str, t['shape']))}]"]
                for t in model.get("tensors") or []
            ],
        )
    yield "System", _beginning(model.get("system") or "")
    yield "License", _beginning(_text(model.get("license")))


def _model(model: dict[str, Any]) -> list[list[str]]:
    info, details = model.get("model_info") or {}, model.get("details") or {}
    architecture = info.get("general.architecture") or details.get("family") or ""
    parameters = details.get("parameter_size") or _count(info.get("general.parameter_count"))
    rows = [
        ["architecture", architecture],
        ["parameters", parameters],
        ["context length", str(info.get(f"{architecture}.context_length", ""))],
        ["embedding length", str(info.get(f"{architecture}.embedding_length", ""))],
        ["quantization", details.get("quantization_level") or ""],
        ["requires", model.get("requires") or ""],
    ]
    return [row for row in rows if row[1]]


def _projector(info: dict[str, Any]) -> list[list[str]]:
    architecture = info.get("general.architecture") or ""

    def of_either(name: str) -> str:
        values = (info.get(f"{architecture}.{sense}.{name}") for sense in ("vision", "audio"))
        return str(next((value for value in values if value is not None), ""))

    rows = [
        ["architecture", architecture],
        ["parameters", _count(info.get("general.parameter_count"))],
        ["embedding length", of_either("embedding_length")],
        ["dimensions", of_either("projection_dim")],
    ]
    return [row for row in rows if row[1]]


def _count(parameters: int | None) -> str:
    return human_number(parameters) if parameters else ""


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        # A vocabulary has tens of thousands of entries: show those that fit in ten columns.
        shown, width = 0, 1
        for item in value:
            width += len(str(item)) + (2 if shown else 0)
            if width > 10 and shown:
                break
            shown += 1
        more = f" ...+{len(value) - shown} more" if shown < len(value) else ""
        return f"[{' '.join(map(str, value[:shown]))}{more}]"
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _text(value: Any) -> str:
    return "\n".join(value) if isinstance(value, list) else value or ""


def _beginning(text: str) -> list[list[str]]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    shown = [[part] for line in lines[:2] for part in textwrap.wrap(line, 100)]
    return shown + [["..."]] * (len(lines) > 2)
