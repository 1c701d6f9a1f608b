"""The draft model of a model (Ollama server/create.go)."""

from __future__ import annotations

from contextlib import ExitStack

from puna.errors import BadRequest, NotFound
from puna.gguf import cached_metadata, disagreement, read_metadata
from puna.library.manifests import IMAGE
from puna.library.parts import ModelPart, PartBuilder, Quantize, quantize_part
from puna.library.purposes import needs_hidden_states, pooling_capability, recurrent
from puna.library.recipe import Recipe
from puna.load import ROLLBACKS

_TOKENS = "tokenizer.ggml.tokens"


def draft_of(
    recipe: Recipe, model: ModelPart, builder: PartBuilder, cleanup: ExitStack, quantize: Quantize
) -> ModelPart | None:
    """The draft model of a recipe; None for none. Raises BadRequest, NotFound, InvalidName."""
    if recipe.draft:
        part = _open_draft(recipe.draft, builder, cleanup)
    elif recipe.draft_files:
        parts = builder.model(recipe.draft_files)
        part = next(part for part in parts if part.kind == "model")
    else:
        return None
    if problem := _problem(part, model):
        name = recipe.draft or ", ".join(recipe.draft_files)
        raise BadRequest(f"draft model '{name}': {problem}", "draft" if recipe.draft else "draft_files")
    if recipe.draft_quantize:
        part = quantize_part(part, recipe.draft_quantize, builder, quantize)
    return part._replace(kind="draft")


def _open_draft(name: str, builder: PartBuilder, cleanup: ExitStack) -> ModelPart:
    library = builder.library
    try:
        model = library.open(name)
    except NotFound:
        raise NotFound(f"draft model '{name}' not found, try pulling it first") from None
    weights = model.weights
    digest = next(layer.digest for layer in model.layers if layer.media_type == IMAGE + "model")
    library.blobs.pin(digest)
    cleanup.callback(library.unpin_blobs, [digest])
    return ModelPart("model", weights, cached_metadata(weights), digest, model.name.display())


def _problem(draft: ModelPart, model: ModelPart) -> str:
    """The reason why `draft` cannot draft for `model`; "" if it can."""
    if draft.digest and draft.digest == model.digest:
        return "it is the model itself"
    if purpose := pooling_capability(draft.metadata):
        return f"it does not generate text, it is for {purpose}"
    if needs_hidden_states(draft.metadata):
        return f"a draft model of architecture {draft.metadata.architecture} is not supported"
    for whose, part in (("its", draft), ("the model's", model)):
        architecture = part.metadata.architecture
        # A draft model is cut back further than recurrent states can be rolled back.
        rolled = part is model and architecture in ROLLBACKS
        if recurrent(part.metadata) and not rolled:
            return f"{whose} architecture, {architecture}, is recurrent: it cannot be cut back"
    theirs, ours = (read_metadata(part.path, verbose=True).get(_TOKENS, []) for part in (draft, model))
    return disagreement(theirs, ours)
