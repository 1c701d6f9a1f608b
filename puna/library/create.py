"""Creates a model from another one or from files (Ollama server/create.go)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from decimal import Decimal
from typing import Any

import msgspec

from puna.errors import BadRequest, PunaError
from puna.gguf import Metadata, cached_metadata
from puna.library.drafts import draft_of
from puna.library.manifests import IMAGE, Layer
from puna.library.model import Model, describe
from puna.library.names import Name
from puna.library.parts import ModelPart, PartBuilder, Quantize, quantize_part
from puna.library.recipe import Recipe
from puna.library.store import Library
from puna.types import Message, Progress, Report

_MODEL = IMAGE + "model"
_DRAFT = IMAGE + "draft"
Recognize = Callable[[str], tuple[str, str, tuple[str, ...]] | None]
"""Maps a Jinja chat template to its name, Go template and stop texts; None if it is unknown."""

_INHERITED = ("renderer", "parser", "requires", "capabilities", "draft")
"""Config entries that a model inherits from its base."""


def create(
    library: Library,
    name: str | Name,
    recipe: Recipe,
    report: Report,
    quantize: Quantize,
    recognize: Recognize,
) -> None:
    """Create the model `name` from `recipe`, replacing an existing one. Blocks; may take minutes.

    A model from files gets a Go template and stop texts if `recognize` knows its chat template. The manifest
    is written last, so any earlier error, including one of `report`, leaves the library unchanged. Raises
    BadRequest for a problem in the recipe or a file, InvalidName, NotFound for an unknown base, PunaError.
    """
    name = library.resolve(name)
    base = library.open(recipe.base) if recipe.base else None
    with ExitStack() as cleanup:
        builder = PartBuilder(library, report, cleanup)
        items = _inherit(library, base, cleanup) if base else builder.model(recipe.files or {})
        at, weights = _weights(items)
        items = [*items, *builder.adapters(recipe.adapters, weights.metadata)]
        draft = draft_of(recipe, weights, builder, cleanup, quantize)
        if draft:
            items = [*(item for item in items if _media_type(item) != _DRAFT), draft]
        if recipe.quantize:
            items[at] = weights = quantize_part(weights, recipe.quantize, builder, quantize)
        config = _config(weights.metadata, base, recipe)
        if draft:
            config["draft"] = {"model_format": "gguf", "architecture": draft.metadata.architecture}
        with _BlobTransaction(library) as transaction:
            layers = [transaction.part(item) if isinstance(item, ModelPart) else item for item in items]
            parameters, detected = base.parameters if base else {}, dict[Layer, str]()
            if not base and (recognized := recognize(weights.metadata.chat_template)):
                title, template, stop = recognized
                parameters = {"stop": list(stop)}
                layer = transaction.text("template", template)
                detected[layer] = f"using autodetected template {title}"
                layers = [*layers, layer, transaction.text("params", _json(parameters))]
            layers = _with_texts(layers, recipe, parameters, transaction)
            for layer in layers:
                report(Progress(status=detected.get(layer) or transaction.status(layer)))
            config["rootfs"] = {"type": "layers", "diff_ids": [layer.digest for layer in layers]}
            report(Progress(status="writing manifest"))
            library.write_manifest(name, config, layers)
    report(Progress(status="success"))


def _inherit(library: Library, base: Model, cleanup: ExitStack) -> list[ModelPart | Layer]:
    """The layers of the base, pinned until the end of `cleanup`."""
    items: list[ModelPart | Layer] = []
    cleanup.callback(library.unpin_blobs, [layer.digest for layer in base.layers])
    for layer in base.layers:
        library.blobs.pin(layer.digest)
        source, path = base.name.display(), library.blobs.path(layer.digest)
        if layer.media_type == _MODEL:
            items.append(ModelPart("model", path, cached_metadata(path), layer.digest, source))
        else:
            items.append(msgspec.structs.replace(layer, source=source))
    return items


def _media_type(item: ModelPart | Layer) -> str:
    return IMAGE + item.kind if isinstance(item, ModelPart) else item.media_type


def _weights(items: Sequence[ModelPart | Layer]) -> tuple[int, ModelPart]:
    for at, item in enumerate(items):
        if isinstance(item, ModelPart) and item.kind == "model":
            return at, item
    raise BadRequest("no base model was found")


def _config(metadata: Metadata, base: Model | None, recipe: Recipe) -> dict[str, Any]:
    """Ollama's ConfigV2 (types/model/config.go)."""
    fields = {"renderer": recipe.renderer, "parser": recipe.parser, "requires": recipe.requires}
    config = {key: base.config[key] for key in _INHERITED if base.config.get(key)} if base else {}
    config |= {key: text for key, text in fields.items() if text}
    if not recipe.template and (name := recipe.names.get(metadata.architecture)):
        config = {"renderer": name, "parser": name, **config}
    return {**describe(metadata), **config, **recipe.overrides()}


def _with_texts(
    layers: list[Layer], recipe: Recipe, parameters: dict[str, Any], transaction: _BlobTransaction
) -> list[Layer]:
    """The layers with the recipe's texts: licenses are added, other texts replaced."""
    texts = {"template": recipe.template, "system": recipe.system}
    for kind, text in texts.items():
        if text:
            layers = [*_without(layers, kind), transaction.text(kind, text)]
    for text in recipe.licenses:
        layers = [*layers, transaction.text("license", text)]
    if options := recipe.options():
        options = {**parameters, **options}
        layers = [*_without(layers, "params"), transaction.text("params", _json(options))]
    if recipe.messages:
        messages = [_message(message) for message in recipe.messages]
        layers = [*_without(layers, "messages"), transaction.text("messages", _json(messages))]
    return layers


def _without(layers: list[Layer], kind: str) -> list[Layer]:
    return [layer for layer in layers if layer.media_type != IMAGE + kind]


def _message(message: Message) -> dict[str, Any]:
    """A message in Ollama's format, with images in base64."""
    files = {"images": [file.data for file in message.images]} if message.images else {}
    return {"role": message.role, "content": message.content, **msgspec.to_builtins(message), **files}


def _json(value: Any) -> str:
    """JSON in Go's exact format, so that the blob has the same digest as Ollama's."""
    if isinstance(value, dict):
        value = {key: _number(entry) for key, entry in sorted(value.items())}
    text = msgspec.json.encode(value).decode()
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text + "\n"


def _number(value: Any) -> Any:
    """A float in the format of Go's encoding/json: 1, 0.00005, 1e-7."""
    if not isinstance(value, float):
        return value
    if value and not 1e-6 <= abs(value) < 1e21:
        return msgspec.Raw(repr(value).replace("e-0", "e-").encode())
    return msgspec.Raw(f"{Decimal(repr(value)):f}".removesuffix(".0").encode())


class _BlobTransaction:
    """Adds blobs to the library; removes the new ones on an error."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self._texts: dict[str, tuple[str, int]] = {}
        self._placed: list[str] = []

    def __enter__(self) -> _BlobTransaction:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None:
            with suppress(PunaError):
                self._library.discard_blobs(self._placed)

    def part(self, part: ModelPart) -> Layer:
        if part.digest:
            size = part.path.stat().st_size
            return Layer(IMAGE + part.kind, part.digest, size, part.source)
        digest, size = self._library.blobs.adopt(part.path)
        self._placed.append(digest)
        return Layer(IMAGE + part.kind, digest, size, part.source)

    def text(self, kind: str, text: str) -> Layer:
        if text not in self._texts:
            self._texts[text] = self._library.blobs.add([text.encode()])
            self._placed.append(self._texts[text][0])
        return Layer(IMAGE + kind, *self._texts[text])

    def status(self, layer: Layer) -> str:
        new = layer.digest in self._placed and self._library.blobs.is_new(layer.digest)
        return f"{'creating new' if new else 'using existing'} layer {layer.digest}"
