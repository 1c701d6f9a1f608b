"""What libllama's memory holds of sequences, behind one contract for every kind of model.

`of` gives the kind for a model: Full (plain attention), Window (sliding-window attention) or State
(recurrent and hybrid). They differ only in the lengths to which a sequence can be cut back. Disk keeps
saved sequences for the model's next engine.
"""

from __future__ import annotations

from puna.engine.libllama import Context, LlamaModel
from puna.engine.memory.disk import Disk, owner_digest
from puna.engine.memory.full import Full
from puna.engine.memory.prefix_file import Contents
from puna.engine.memory.segment_file import File
from puna.engine.memory.sequence_memory import NO_SLOT, Segment, SequenceMemory, Snapshot
from puna.engine.memory.state import State
from puna.engine.memory.window import Window

__all__ = [
    "NO_SLOT",
    "Contents",
    "ContextMemory",
    "Disk",
    "File",
    "Segment",
    "SequenceMemory",
    "Snapshot",
    "of",
    "owner_digest",
    "spare_slots",
]

ContextMemory = Full | Window | State

_OPAQUE = ("deepseek4",)
"""Architectures that compress windowed memory: a snapshot restores it only unchanged."""


def of(model: LlamaModel, context: Context) -> ContextMemory:
    """The memory of a context, whose last `spare_slots` slots belong to it."""
    opaque = model.metadata("general.architecture") in _OPAQUE
    if model.recurrent or opaque:
        whole = opaque or bool(model.n_swa)
        # What a window forgot for a draft does not come back with the state.
        return State(context, divisible=model.hybrid and not whole, rollback=0 if whole else context.rollback)
    return Window(context, model.n_swa) if model.n_swa else Full(context)


def spare_slots(model: LlamaModel) -> int:
    """Slots that a context needs beside those of its sequences."""
    return int(model.hybrid or not model.recurrent)
