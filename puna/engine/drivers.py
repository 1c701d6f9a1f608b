"""The versions of GPU drivers, read from the system's files."""

from __future__ import annotations

import re
from pathlib import Path

_VERSION = re.compile(r"\b\d+(?:\.\d+)+\b")

_FILES = {
    "NVIDIA": ("sys/module/nvidia/version", "proc/driver/nvidia/version"),
    "amdgpu": ("sys/module/amdgpu/version",),
    "ROCm": ("opt/rocm/.info/version",),
}
"""The first readable file counts. amdgpu has a version only if it does not come with the kernel."""


def drivers(root: Path = Path("/")) -> list[str]:
    """Each driver with its version: "NVIDIA 580.95.05". Unreadable versions are omitted."""
    pairs = ((name, _version(root / file)) for name, files in _FILES.items() for file in files)
    versions: dict[str, str] = {}
    for name, version in pairs:
        if version:
            versions.setdefault(name, version)
    return [f"{name} {version}" for name, version in versions.items()]


def _version(file: Path) -> str:
    """The first version in a file. In NVIDIA's file it is the module's; the compiler's follows later."""
    try:
        text = file.read_text(errors="replace")
    except OSError:
        return ""
    match = _VERSION.search(text)
    return match[0] if match else ""
