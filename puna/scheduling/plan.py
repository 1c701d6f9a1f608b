"""Plans a load: context, KV pool and parallelism, from the options and the available memory."""

from __future__ import annotations

import dataclasses
import os

from msgspec.structs import replace

from puna.errors import BadRequest, LoadFailed
from puna.load import ROLLBACKS, LoadSpec
from puna.options import KVCacheType, Options
from puna.scheduling.facts import Facts, FileFacts
from puna.scheduling.memory import (
    PROCESS,
    Footprint,
    SizeFacts,
    count,
    estimate,
    estimate_head,
    estimate_projector,
    head_sizes,
)
from puna.settings import Settings

_PARALLEL = 16  # more sequences than this gain little on a CPU
_CONTEXTS = ((0, 4096), (23 << 30, 32768), (47 << 30, 262144))
"""The default context in tokens, by the least free bytes (Ollama server/routes.go, Serve)."""
_SMALLEST_CONTEXT = 4
_KV_CONTEXTS = 4  # in the pool and in host memory together
_KV_LONG_CONTEXTS = 2  # the same, of a context that is long only because there is room
_MOST_THREADS = 4 * (os.cpu_count() or 1)

_STATES = 64 << 20  # bytes for snapshots of recurrent models, at least
_SNAPSHOTS = 32  # of a recurrent model's state
_DEPTHS = (15, 7, 3, 1)  # of a rollback, in tokens: a step has one row more, which fills its tiles
_ROLLBACK_SHARE = 16  # one part in this many of the memory may go to the states for it
_BLOCK = 32  # numbers that quantised types store together
_PAGE = 256  # libllama rounds the pool up to this


def context(facts: Facts, options: Options, settings: Settings) -> int:
    """Tokens of context for a request: as requested or the least default, at most the trained length."""
    return _limit_context(facts, options.num_ctx or settings.context_length or _CONTEXTS[0][1])


def long_contexts(facts: Facts, options: Options, settings: Settings, available: int) -> list[int]:
    """Longer default contexts that `available` bytes allow, in tokens, the longest first.

    None if a request, the model or a setting names a context.
    """
    if facts.embedding or options.num_ctx or settings.context_length:
        return []
    most = _limit_context(facts, max(tokens for room, tokens in _CONTEXTS if available >= room or not room))
    least, lengths = context(facts, options, settings), list[int]()
    while most > least:
        lengths.append(most)
        most = 1 << (most - 1).bit_length() - 1
    return lengths


def _limit_context(facts: Facts, num_ctx: int) -> int:
    trained = count(facts.metadata.arch("context_length"))
    return max(_SMALLEST_CONTEXT, min(num_ctx, trained or num_ctx))


def kv_cache_type(facts: Facts, options: Options, settings: Settings) -> KVCacheType:
    """The type of a request's KV cache: as requested, or the setting; "f16" for a model without one."""
    return "f16" if facts.embedding else options.kv_cache_type or settings.kv_cache_type


def check_kv_cache_type(facts: Facts, options: Options, settings: Settings) -> None:
    """Raises BadRequest when the model cannot have the requested type, LoadFailed when not the setting's.

    libllama quantises whole blocks, and only with flash attention (llama-context.cpp,
    `llama_init_from_model`).
    """
    cache_type = kv_cache_type(facts, options, settings)
    if not cache_type.startswith("q"):
        return
    sizes = head_sizes(facts.metadata)
    if settings.flash_attention is False:
        reason = "flash attention, which OLLAMA_FLASH_ATTENTION turns off"
    elif any(size % _BLOCK for size in sizes):
        reason = f"attention heads of a multiple of {_BLOCK}, and this model's have {max(sizes)}"
    else:
        return
    if options.kv_cache_type:
        raise BadRequest(f'option "kv_cache_type": {cache_type} needs {reason}', "options.kv_cache_type")
    raise LoadFailed(f"OLLAMA_KV_CACHE_TYPE={cache_type} needs {reason}")


def plan(facts: Facts, options: Options, settings: Settings, available: int) -> LoadSpec:
    """The best way to load a model into `available` bytes.

    It has KV for several contexts if a quarter of the memory suffices, otherwise as much as fits, but at
    least one context; `footprint` tells whether that fits. Half of the KV is the pool in which answers are
    decoded; the other half keeps finished ones for the next turn. A default context is longer if that
    quarter holds it twice.
    """
    spec = LoadSpec(
        path=facts.path,
        num_ctx=(num_ctx := context(facts, options, settings)),
        pool=num_ctx,
        disk=str(settings.cache_folder.absolute()),
        disk_limit=settings.cache,
        repack=str((settings.cache_folder / "packed").absolute()),
        repack_limit=settings.repack_cache,
        parallel=min(_PARALLEL, settings.num_parallel or _PARALLEL),
        embedding=facts.embedding,
        ranking=facts.ranking,
        num_batch=max(1, min(options.num_batch, num_ctx)),
        num_thread=_threads(options),
        num_gpu=max(-1, options.num_gpu),
        main_gpu=options.main_gpu,
        tensor_split=options.tensor_split,
        n_cpu_moe=max(0, options.n_cpu_moe),
        override_tensor=options.override_tensor,
        use_mmap=options.use_mmap,
        kv_cache_type=kv_cache_type(facts, options, settings),
        flash_attention=settings.flash_attention,
        adapters=facts.adapters,
        projector=facts.projector.path if facts.projector else "",
        draft=facts.draft.path if facts.draft else "",
    )
    if facts.embedding:
        return spec
    spec = replace(spec, rollback=_rollback(facts, spec, available))
    for length in long_contexts(facts, options, settings, available):
        longer = replace(spec, num_ctx=length, pool=length)
        kv, _, left = _room(facts, replace(longer, pool=_KV_LONG_CONTEXTS * length), available)
        if _KV_LONG_CONTEXTS * length * kv <= left:
            spec, most = longer, _KV_LONG_CONTEXTS * length
            break
    else:
        most = _KV_CONTEXTS * num_ctx
    kv, snapshots, left = _room(facts, replace(spec, pool=most), available)
    if not kv:
        return replace(spec, cache=max(_STATES, snapshots))
    cells = max(spec.num_ctx, min(most, left // kv))
    pool = spec.num_ctx if spec.parallel == 1 else max(spec.num_ctx, cells // 2 // _PAGE * _PAGE)
    return replace(spec, pool=pool, cache=(cells - pool) * kv + snapshots)


def _room(facts: Facts, spec: LoadSpec, available: int) -> tuple[int, int, int]:
    """Bytes of KV for a token, bytes for snapshots, and what is then left of `available` for KV."""
    needs = footprint(facts, spec)
    snapshots = min(_SNAPSHOTS * needs.state, available // 8)
    return needs.kv_per_token, snapshots, min(available // 4, available - snapshots - needs.total(0))


def _rollback(facts: Facts, spec: LoadSpec, available: int) -> int:
    """Tokens that a recurrent model can roll back: as many as a small part of the memory allows."""
    if facts.metadata.arch("attention.sliding_window"):
        return 0
    longest = ROLLBACKS.get(str(facts.metadata.get("general.architecture")), 0)
    state = model_footprint(facts, spec).state * spec.states
    depths = (depth for depth in _DEPTHS if depth <= longest)
    return next((depth for depth in depths if depth * state <= available // _ROLLBACK_SHARE), 0)


def _threads(options: Options) -> int:
    """As requested, up to a limit beyond which threads only wait; 0 leaves it to the engine."""
    return max(0, min(options.num_thread, _MOST_THREADS))


def model_footprint(facts: Facts, spec: LoadSpec) -> Footprint:
    """What the language model alone takes, without retained sequences."""
    return estimate(
        _header(facts, spec),
        facts.weights_size,
        spec.pool,
        num_batch=spec.num_batch,
        states=spec.states,
        rollback=spec.rollback,
        kv_cache_type=spec.kv_cache_type,
        flash_attention=spec.flash_attention,
    )


def footprint(facts: Facts, spec: LoadSpec) -> Footprint:
    """What a model loaded as `spec` takes."""
    needs = model_footprint(facts, spec)
    compute = needs.compute + spec.cache
    if projector := facts.projector:
        compute += estimate_projector(projector.metadata, projector.size, spec.num_ctx)
    compute += drafter_size(facts, spec)
    return dataclasses.replace(needs, compute=compute)


def drafter_size(facts: Facts, spec: LoadSpec) -> int:
    """Bytes of a model's drafter: its draft model, or else its own MTP layer."""
    if facts.draft:
        return draft_size(facts.draft, spec)
    recurrent = str(facts.metadata.get("general.architecture")) in ROLLBACKS
    if facts.embedding or (recurrent and not spec.rollback):
        return 0
    return estimate_head(
        _header(facts, spec), spec.pool, num_batch=spec.num_batch, flash_attention=spec.flash_attention
    )


def _header(facts: Facts, spec: LoadSpec) -> SizeFacts:
    """The header with the layers that are loaded."""
    return facts.drafting if facts.drafting and spec.rollback and not facts.draft else facts.metadata


def draft_size(draft: FileFacts, spec: LoadSpec) -> int:
    """Bytes that a draft model takes beside its model: it has its own context, in f16."""
    needs = estimate(
        draft.metadata,
        draft.size,
        spec.num_ctx,
        num_batch=spec.num_batch,
        flash_attention=spec.flash_attention,
    )
    return needs.total(spec.num_ctx) - PROCESS


def serves(spec: LoadSpec, facts: Facts, options: Options, settings: Settings) -> bool:
    """Whether a model loaded as `spec` can answer a request: a smaller context or batch needs no reload."""
    return (
        context(facts, options, settings) <= spec.num_ctx
        and min(options.num_batch, spec.num_ctx) <= spec.num_batch
        and (options.num_gpu < 0 or options.num_gpu == spec.num_gpu)
        and options.main_gpu in (None, spec.main_gpu)
        and options.tensor_split in ((), spec.tensor_split)
        and max(0, options.n_cpu_moe) in (0, spec.n_cpu_moe)
        and options.override_tensor in ((), spec.override_tensor)
        and _threads(options) in (0, spec.num_thread)
        and (options.use_mmap is None or options.use_mmap == (spec.use_mmap is not False))
        and (not options.kv_cache_type or kv_cache_type(facts, options, settings) == spec.kv_cache_type)
    )


def widen(options: Options, facts: Facts, settings: Settings, spec: LoadSpec) -> Options:
    """`options` for a reload that keeps the sizes of `spec`, so that two clients do not reload in turns."""
    return replace(
        options,
        num_ctx=max(context(facts, options, settings), spec.num_ctx),
        num_batch=max(options.num_batch, spec.num_batch),
        num_gpu=options.num_gpu if options.num_gpu >= 0 else spec.num_gpu,
        main_gpu=spec.main_gpu if options.main_gpu is None else options.main_gpu,
        tensor_split=options.tensor_split or spec.tensor_split,
        n_cpu_moe=max(0, options.n_cpu_moe) or spec.n_cpu_moe,
        override_tensor=options.override_tensor or spec.override_tensor,
        num_thread=_threads(options) or spec.num_thread,
        use_mmap=spec.use_mmap if options.use_mmap is None else options.use_mmap,
        kv_cache_type=options.kv_cache_type or spec.kv_cache_type,
    )
