"""Sizes of libllama's buffers, read from its log, because its API does not have them."""

from __future__ import annotations

import re
from collections import defaultdict

_BUFFER = re.compile(r"(\w+): +(\S+) +(\S.*)buffer size = +([0-9.]+) MiB")
_CACHE = re.compile(r"\w+: +size = +([0-9.]+) MiB \( *\d+ cells")
_PROJECTOR = re.compile(r"load_hparams: model size: +([0-9.]+) MiB")
_REALLOCATED = ("compute", "output")
"""Kinds that a context has once for each memory: a later line replaces an earlier one."""

_EARLIER = "earlier context: "


class Buffers:
    """Bytes of buffers in each memory: "CUDA0", "CPU_Mapped", "Vulkan_Host"."""

    def __init__(self) -> None:
        self.projector = 0
        """Bytes of a projector's weights, in any memory."""
        self.cache = 0
        """Bytes of KV caches and recurrent states, in any memory; in a dry run, their planned size."""
        self._sizes: defaultdict[tuple[str, str, str], int] = defaultdict(int)

    def notice(self, line: str) -> None:
        """Read a line of libllama's log, if it is about a buffer."""
        if " size = " not in line and "model size:" not in line:
            return  # Nearly all of a load's thousands of lines.
        if match := _PROJECTOR.search(line):
            self.projector = _bytes(match[1])
        elif match := _CACHE.search(line):
            self.cache += _bytes(match[1])
        elif match := _BUFFER.search(line):
            function, memory, kind, size = match.groups()
            key = (function, memory, kind.strip())
            replaces = kind.strip() in _REALLOCATED
            self._sizes[key] = _bytes(size) + (0 if replaces else self._sizes[key])

    def begin_context(self) -> None:
        """Another context follows: its buffers do not replace the earlier ones."""
        for function, memory, kind in list(self._sizes):
            if kind in _REALLOCATED and not function.startswith(_EARLIER):
                size = self._sizes.pop((function, memory, kind))
                self._sizes[_EARLIER + function, memory, kind] += size

    def on(self, device: str, *, work: bool = False) -> int:
        """Bytes on the device of that name ("MTL0_Mapped" is on "MTL0", "CUDA_Host" on none).

        `work`: of compute and output buffers alone.
        """
        return sum(
            size
            for (_, memory, kind), size in self._sizes.items()
            if f"{memory}_".startswith(f"{device}_") and (kind in _REALLOCATED or not work)
        )

    @property
    def work(self) -> int:
        """Bytes of compute and output buffers in all memories."""
        return sum(size for (_, _, kind), size in self._sizes.items() if kind in _REALLOCATED)

    @property
    def total(self) -> int:
        return sum(self._sizes.values()) + self.projector


def _bytes(mebibytes: str) -> int:
    return round(float(mebibytes) * (1 << 20))
