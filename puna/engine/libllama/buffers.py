"""What libllama's buffers take, as it says when it makes them; its API does not tell."""

from __future__ import annotations

import re
from collections import defaultdict

_BUFFER = re.compile(r"(\w+): +(\S+) +(\S.*)buffer size = +([0-9.]+) MiB")
_PROJECTOR = re.compile(r"load_hparams: model size: +([0-9.]+) MiB")
_MEASURED_AGAIN = ("compute", "output")
"""Kinds that a context has one of for each memory: one that is made anew takes the place of the former."""


class Buffers:
    """Bytes of each memory that has buffers: "CUDA0", "CPU_Mapped", "Vulkan_Host"."""

    def __init__(self) -> None:
        self.projector = 0
        """Bytes of a projector's weights, wherever they are."""
        self._sizes: defaultdict[tuple[str, str, str], float] = defaultdict(float)

    def notice(self, line: str) -> None:
        """Take note of a line of libllama's log, if it is about a buffer."""
        if " size = " not in line and "model size:" not in line:
            return  # Nearly all are about something else, and a model says thousands.
        if found := _PROJECTOR.search(line):
            self.projector = round(float(found[1]) * (1 << 20))
        elif found := _BUFFER.search(line):
            function, memory, kind, size = found.groups()
            key = (function, memory, kind.strip())
            again = kind.strip() in _MEASURED_AGAIN
            self._sizes[key] = float(size) * (1 << 20) + (0 if again else self._sizes[key])

    def on(self, device: str) -> int:
        """Bytes on the device of that name ("MTL0_Mapped" is on "MTL0", "CUDA_Host" on none)."""
        return round(
            sum(size for (_, memory, _), size in self._sizes.items() if f"{memory}_".startswith(f"{device}_"))
        )

    @property
    def total(self) -> int:
        return round(sum(self._sizes.values())) + self.projector
