"""The memory of a context's sequences, behind one interface for every kind of model.

`of` gives the kind that a model needs: FullAttention, SlidingWindow or Recurrent (also for hybrid models).
They differ only in the lengths to which a sequence can be cut. Disk stores retained sequences for the
model's next engine.
"""

from __future__ import annotations

from puna.engine.libllama import Context, LlamaModel
from puna.engine.memory.disk import Disk, owner_digest
from puna.engine.memory.full_attention import FullAttention
from puna.engine.memory.prefix_file import Contents
from puna.engine.memory.recurrent import Recurrent
from puna.engine.memory.segment_file import File
from puna.engine.memory.sequence_memory import NO_SLOT, Segment, SequenceMemory, Snapshot
from puna.engine.memory.sliding_window import SlidingWindow

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

ContextMemory = FullAttention | SlidingWindow | Recurrent

_UNCUTTABLE = ("deepseek4",)
"""Architectures that compress windowed KV: only a snapshot of the same length restores it."""


def of(model: LlamaModel, context: Context) -> ContextMemory:
    """The memory of a context. It uses the context's last `spare_slots` slots itself."""
    uncuttable = model.metadata("general.architecture") in _UNCUTTABLE
    if model.recurrent or uncuttable:
        windowed = uncuttable or bool(model.n_swa)
        # A window drops cells when it evaluates a draft, and a rollback does not restore them.
        max_rollback = 0 if windowed else context.rollback
        return Recurrent(context, copies_suffixes=model.hybrid and not windowed, max_rollback=max_rollback)
    return SlidingWindow(context, model.n_swa) if model.n_swa else FullAttention(context)


def spare_slots(model: LlamaModel) -> int:
    """Slots that a context needs beside those of its sequences."""
    return int(model.hybrid or not model.recurrent)
