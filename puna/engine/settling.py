"""Work that a load postpones, so that the first token comes sooner."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

from puna.engine.libllama import LlamaModel
from puna.engine.libllama.kernels import prefault
from puna.engine.repack_cache import RepackCache

_FIRST_ANSWERS = 2.0
"""Seconds after a load in which a busy engine is not disturbed: allocating pages can stall the machine."""


def settle(models: Sequence[LlamaModel], repack_cache: RepackCache) -> None:
    """For a separate thread, which gets a low priority. The repack cache is of the first model."""
    repack_cache.idle.wait(_FIRST_ANSWERS)
    if sys.platform == "linux":  # Elsewhere a thread has no priority of its own.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
    prefault()
    for model in models:
        if model.packed is not None:
            model.packed.use_huge_pages()
    if models[0].packed is not None:
        repack_cache.keep(models[0].packed)
