"""Opens a model's context. Run as a program, it reports how much memory that would take.

The program uses libllama's dry run (`no_alloc`), which lays out everything and allocates nothing.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

import msgspec
import psutil

from puna.engine import budget, memory
from puna.engine.drafts import has_head, open_head
from puna.engine.libllama import Context, LlamaModel, max_sequences
from puna.engine.libllama.kernels import computed_all
from puna.errors import PunaError
from puna.load import DryRun, LoadSpec

_RETAINED_SLOTS = 16
"""Slots for retained sequences in the pool, beside the running ones."""

_EMBEDDING_SLOTS, _EMBEDDING_BATCH = 64, 2048

_TINY = 16 << 20
"""Bytes of weights."""


@dataclass(frozen=True)
class ContextShape:
    """The sizes of a context."""

    cells: int
    """KV cells."""
    slots: int
    """Slots for running and retained sequences."""
    parallel: int
    """Sequences that are evaluated at once."""
    spare: int
    """Further slots that the context memory uses itself."""
    n_batch: int
    """Most rows of one evaluation."""


def longest(spec: LoadSpec, model: LlamaModel) -> int:
    """Tokens of the longest sequence."""
    return min(spec.num_ctx, model.n_ctx_train or spec.num_ctx)


def shape(spec: LoadSpec, model: LlamaModel, *, noncausal_rows: int = 0) -> ContextShape:
    """The shape of the context for `spec`; `noncausal_rows`: of a projector, for one batch."""
    if spec.embedding:
        slots = min(_EMBEDDING_SLOTS, max_sequences())
        n_batch = max(longest(spec, model), min(_EMBEDDING_BATCH, spec.pool))
        return ContextShape(n_batch, slots, slots, 0, n_batch)
    spare = memory.spare_slots(model)
    retained = _RETAINED_SLOTS if not model.recurrent else spec.parallel
    slots = min(spec.parallel + retained, max_sequences() - spare)
    parallel = min(spec.parallel, slots - 1) or 1
    n_batch = max(spec.num_batch, parallel + budget.TILE, noncausal_rows)
    return ContextShape(spec.pool, slots, parallel, spare, n_batch)


def open_context(spec: LoadSpec, model: LlamaModel, shape: ContextShape, *, threads: int) -> Context:
    """A context of that shape. Raises LoadFailed."""
    return Context(
        model,
        n_ctx=shape.cells,
        n_batch=shape.n_batch,
        n_seq=shape.slots + shape.spare,
        threads=threads,
        embeddings=spec.embedding,
        ranking=spec.ranking,
        kv_cache_type=spec.kv_cache_type,
        flash_attention=None if spec.embedding else spec.flash_attention,
        rollback=spec.rollback,
    )


def threads(model: LlamaModel) -> int:
    """One for each core, or one for a model so small that threads cost more than they compute."""
    return 1 if model.size < _TINY else psutil.cpu_count(logical=False) or os.cpu_count() or 1


def warm_up(model: LlamaModel, context: Context) -> tuple[float, bool]:
    """Evaluate a token, so that the weights are read from disk before the first request.

    Returns the seconds that another token takes, and whether our kernels computed all of the CPU's part.
    """
    computed_all()  # It reports on evaluations since the last call: begin with this model's.
    context.tokens[0] = max(model.bos, 0)
    context.positions[0] = context.sequences[0] = 0
    context.wants_output[0] = 1
    context.decode(1)
    context.clear()
    began = time.perf_counter()
    context.decode(1)
    context.synchronize()
    took = time.perf_counter() - began
    context.clear()
    return took, computed_all()


def needs(spec: LoadSpec) -> DryRun:
    """The memory that a load of `spec` would take. Raises LoadFailed."""
    mtp = has_head(spec)
    model = LlamaModel(spec.path, placed=spec.placed, allocate=False, mtp=mtp)
    context = open_context(spec, model, shape(spec, model), threads=1)
    if mtp:
        open_head(spec, model, context, threads=1)
    buffers = model.buffers
    devices = {name: buffers.on(name, work=True) for name in spec.placed.devices}
    return DryRun(cache=buffers.cache, devices=devices, host=buffers.work - sum(devices.values()))


def main() -> None:
    """Run as `python -m puna.engine.opening`: reads a LoadSpec and writes a DryRun, both as JSON."""
    answer = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # drivers print what they like
    spec = msgspec.json.decode(sys.stdin.buffer.read(), type=LoadSpec)
    try:
        dry_run = needs(spec)
    except PunaError as error:
        sys.exit(str(error))
    answer.write(msgspec.json.encode(dry_run))
    answer.close()
    os._exit(0)  # nothing to clean up


if __name__ == "__main__":
    main()
