"""Refuses what a model cannot do, before it is loaded, in Ollama's words (server/routes.go)."""

from __future__ import annotations

from puna.errors import BadRequest
from puna.inference.form import capabilities
from puna.inference.requests import ChatInput, EmbedInput, GenerateInput
from puna.inference.sounds import is_sound
from puna.library import Model
from puna.types import MediaFile


def check_chat(request: ChatInput, model: Model) -> None:
    """Raises BadRequest when `model` cannot answer `request`."""
    can = capabilities(model)
    _check_text(can, request, "chat")
    for index, message in enumerate(request.messages):
        _check_media(model, request.model, message.images, f"messages[{index}].images")
    if request.offered and "tools" not in can:
        raise BadRequest(f"{model.name} does not support tools", "tools")


def check_generate(request: GenerateInput, model: Model) -> None:
    """Raises BadRequest when `model` cannot answer `request` or its fields exclude each other."""
    if request.raw and (request.template or request.system or request.context):
        raise BadRequest("raw mode does not support template, system, or context")
    can = capabilities(model)
    _check_text(can, request, "generate")
    _check_media(model, request.model, request.images, "images")
    if request.suffix and "insert" not in can:
        raise BadRequest(f"{model.name} does not support insert", "suffix")


def check_embed(request: EmbedInput, model: Model) -> None:
    """Raises BadRequest when `model` makes no vectors."""
    if "embedding" not in capabilities(model):
        raise BadRequest(f'"{request.model}" does not support embeddings', "model")


def check_vision_or_audio(name: str, model: Model, field: str = "images") -> None:
    """Raises BadRequest, which names `field`, when `model` takes neither images nor audio."""
    if "audio" not in capabilities(model):
        _check_vision(name, model, field)


def _check_text(can: list[str], request: ChatInput | GenerateInput, purpose: str) -> None:
    if "completion" not in can:
        raise BadRequest(f'"{request.model}" does not support {purpose}', "model")
    if request.think and "thinking" not in can and not request.think_if_able:
        raise BadRequest(f'"{request.model}" does not support thinking', "think")


def _check_media(model: Model, name: str, files: list[MediaFile], field: str) -> None:
    sounds = sum(is_sound(file.data) for file in files)
    if sounds and "audio" not in capabilities(model):
        raise BadRequest(f'"{name}" does not support audio: it cannot hear sounds', field)
    if sounds < len(files):
        _check_vision(name, model, field)


def _check_vision(name: str, model: Model, field: str) -> None:
    if "vision" not in capabilities(model):
        raise BadRequest(f'"{name}" does not support vision: it cannot read images', field)
