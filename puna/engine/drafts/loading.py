"""Opens a model's proposer: a draft model, or its own MTP layer."""

from __future__ import annotations

import logging
from pathlib import Path

from puna.engine.budget import TILE
from puna.engine.drafts.draft_model import DraftModel
from puna.engine.libllama import Context, LlamaModel
from puna.engine.libllama.mtp import HeadContext, obstacle
from puna.engine.ollama_gguf import language_header
from puna.errors import LoadFailed
from puna.gguf import disagreement
from puna.load import HEAD_OUTPUTS, ROLLBACKS, LoadSpec, Placed

_ALL_LAYERS = 1 << 10

_log = logging.getLogger(__name__)


def load_draft(spec: LoadSpec, model: LlamaModel, *, slots: int, threads: int) -> DraftModel:
    """The draft model of `spec`, for `slots` sequences of `model`.

    It is on the device of the model's output. Raises LoadFailed if it cannot be loaded or has another
    vocabulary.
    """
    device = spec.placed.last
    placed = Placed(devices=(device,), split=(_ALL_LAYERS,)) if device else Placed()
    try:
        draft = LlamaModel(spec.draft, placed=placed, use_mmap=spec.use_mmap)
        problem = _problem(draft, model)
        if problem:
            draft.close()
            raise LoadFailed(problem)
        context = Context(
            draft,
            n_ctx=min(spec.num_ctx, draft.n_ctx_train or spec.num_ctx),
            n_batch=max(spec.num_batch, TILE),
            n_seq=slots,
            threads=threads,
            flash_attention=spec.flash_attention,
            swa_full=True,
        )
    except LoadFailed as error:
        raise LoadFailed(f"draft model {spec.draft}: {error}") from None
    return DraftModel(draft, context, n_vocab=model.n_vocab)


def _problem(draft: LlamaModel, model: LlamaModel) -> str:
    """Why `draft` cannot draft for `model`; "" if it can."""
    if draft.recurrent:
        return "it is recurrent, and what it was wrong about cannot be forgotten"
    architecture = draft.metadata("general.architecture")
    if draft.has_encoder_only or draft.metadata(f"{architecture}.pooling_type"):
        return "it does not generate text"
    return disagreement(draft.texts(), model.texts())


def has_head(spec: LoadSpec) -> bool:
    """Whether the model's own MTP layer drafts. A draft model is preferred."""
    if spec.embedding or spec.draft:
        return False
    metadata = language_header(Path(spec.path))
    problem = obstacle(metadata)
    if problem == "" and metadata.architecture in ROLLBACKS and not spec.rollback:
        problem = "drafts could not be forgotten: there is too little memory for states, or a device is used"
    if problem:
        _log.warning("the MTP layer of %s is not used: %s", spec.path, problem)
    return problem == ""


def open_head(spec: LoadSpec, model: LlamaModel, target: Context, *, threads: int) -> HeadContext:
    """A context for the MTP layer of `model`. Raises LoadFailed."""
    model.buffers.begin_context()
    return HeadContext(
        model,
        n_ctx=target.n_ctx,
        n_batch=target.n_batch,
        n_seq=target.n_seq,
        n_outputs=max(HEAD_OUTPUTS, target.n_seq),
        threads=threads,
        kv_cache_type=spec.kv_cache_type,
        flash_attention=spec.flash_attention,
    )
