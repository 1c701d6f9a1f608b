"""`puna create`: reads a Modelfile, hashes and sends its files, and lets the server create the model."""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from puna.cli.arguments import ModelName
from puna.cli.connection import CommandFailed, connect, is_local
from puna.cli.sources import files_at, looks_like_path, request_names
from puna.settings import Settings

if TYPE_CHECKING:
    from puna.cli.client import Client
    from puna.cli.display import Display
    from puna.modelfile import Modelfile

_GATHERING = "gathering model components"
_NO_MODELFILE = "no Modelfile here"


def create(
    model: ModelName,
    file: Annotated[
        str,
        typer.Option(
            "--file",
            "-f",
            metavar="PATH",
            help='Name of the Modelfile (default "Modelfile"); - is standard input.',
            show_default=False,
        ),
    ] = "",
    quantize: Annotated[
        str,
        typer.Option(
            "--quantize",
            "-q",
            metavar="LEVEL",
            help="Quantize model to this level (e.g. q4_K_M).",
            show_default=False,
        ),
    ] = "",
    draft_quantize: Annotated[
        str,
        typer.Option(
            "--draft-quantize",
            metavar="LEVEL",
            help="Quantize draft model to this level.",
            show_default=False,
        ),
    ] = "",
) -> None:
    """Create a model."""
    settings = Settings.from_environment()
    title, content, folder = read_modelfile(file)
    recipe = pending_create(title, content, folder)
    recipe.request["model"] = model
    if quantize:
        recipe.request["quantize"] = quantize
    if draft_quantize:
        recipe.request["draft_quantize"] = draft_quantize
    with connect(settings) as client:
        # Check the name before hashing and sending gigabytes.
        client.check_name(model)
        from puna.cli.display import Display

        with Display() as display:
            upload_files(client, recipe, display, in_place=is_local(settings) and client.is_puna())
            display.follow(client.create_model(recipe.request))


@dataclass
class PendingCreate:
    """A create request that still lacks the digests of its files."""

    request: dict[str, Any] = field(default_factory=dict)
    files: dict[str, dict[str, Path]] = field(default_factory=dict)
    """For "files", "adapters" and "draft_files": paths by their names in the request."""


def read_modelfile(file: str) -> tuple[str, bytes, Path]:
    """A Modelfile's title in messages, its content, and the folder of its relative paths.

    For a folder without a Modelfile, the content is FROM that folder, as in Ollama.
    """
    if file == "-":
        return "standard input", sys.stdin.buffer.read(), Path()
    path = Path(file or "Modelfile")
    try:
        return str(path), path.read_bytes(), path.parent
    except FileNotFoundError:
        if file:
            raise CommandFailed(f"specified Modelfile wasn't found: {file}") from None
        return _NO_MODELFILE, b"FROM .", Path()
    except OSError as error:
        raise CommandFailed(f"{path}: {error.strerror}") from None


def pending_create(title: str, content: bytes, folder: Path) -> PendingCreate:
    """The create request of a Modelfile. Raises CommandFailed naming the Modelfile and the line or path."""
    from puna.errors import BadRequest
    from puna.modelfile import parse

    try:
        modelfile = parse(content)
    except BadRequest as error:
        raise CommandFailed(title + str(error).removeprefix("Modelfile")) from None
    for warning in modelfile.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    recipe = PendingCreate(_request(modelfile))
    _resolve(recipe, title, folder, modelfile.sources)
    if modelfile.adapters:
        files = (_files(_location(title, text), "ADAPTER", folder, text) for text in modelfile.adapters)
        recipe.files["adapters"] = request_names(itertools.chain.from_iterable(files))
    if modelfile.draft:
        _resolve_draft(recipe, title, folder, modelfile)
    return recipe


def upload_files(client: Client, recipe: PendingCreate, display: Display, *, in_place: bool) -> None:
    """Hash the files, send them, and add their digests to the request."""
    from puna.cli.blobs import digest_of, send, size_of

    paths = list(dict.fromkeys(path for files in recipe.files.values() for path in files.values()))
    sizes = [size_of(path) for path in paths]
    total, hashed_bytes, digests = sum(sizes), 0, {}
    display.feed(_GATHERING, _GATHERING if total else "", total)
    for path, size in zip(paths, sizes, strict=True):
        before = hashed_bytes
        digests[path] = digest_of(
            path,
            lambda done, before=before: display.feed("", _GATHERING, total, before + done, label=_GATHERING),
        )
        hashed_bytes += size
    for path, size in zip(paths, sizes, strict=True):
        digest = digests[path]
        label = f"copying file {digest[:19]}"
        send(
            client,
            path,
            digest,
            partial(display.feed, "", digest, size, label=label),
            in_place=in_place,
        )
        display.feed(f"copying file {digest} 100%", digest, size, size, label=label)
    for kind, files in recipe.files.items():
        recipe.request[kind] = {name: digests[path] for name, path in files.items()}


def _request(modelfile: Modelfile) -> dict[str, Any]:
    """The fields of a create request that the Modelfile has unchanged."""
    fields = {
        **{
            name: getattr(modelfile, name)
            for name in ("template", "system", "renderer", "parser", "requires")
        },
        "parameters": modelfile.parameters,
        "license": list(modelfile.licenses),
        "messages": [{"role": message.role, "content": message.content} for message in modelfile.messages],
    }
    return {name: value for name, value in fields.items() if value}


def _resolve(recipe: PendingCreate, title: str, folder: Path, sources: Iterable[str]) -> None:
    """Add the files of the FROM lines, or the base model's name."""
    files: list[Path] = []
    for text in sources:
        at = _location(title, text)
        if looks_like_path(text) or _exists(at, _path(folder, text)):
            files += _files(at, "FROM", folder, text)
        elif "from" in recipe.request:
            raise CommandFailed(f"{at}: FROM names two models: {recipe.request['from']} and {text}")
        else:
            recipe.request["from"] = text
    if files:
        recipe.files["files"] = request_names(files)


def _resolve_draft(recipe: PendingCreate, title: str, folder: Path, modelfile: Modelfile) -> None:
    """Add the files of the DRAFT line, or the draft model's name."""
    text, at = modelfile.draft, _location(title, modelfile.draft)
    if not looks_like_path(text) and not _exists(at, _path(folder, text)):
        recipe.request["draft"] = text
        return
    files = _files(at, "DRAFT", folder, text)
    own = {path.resolve() for path in recipe.files.get("files", {}).values()}
    if own & {path.resolve() for path in files}:
        raise CommandFailed(f"{at}: DRAFT must not reference the same local path as FROM: {text}")
    recipe.files["draft_files"] = request_names(files)


def _location(title: str, text: str) -> str:
    """The title and line of `text`; the title alone without a Modelfile."""
    from puna.modelfile import CommandArgument

    return f"{title}:{text.line}" if isinstance(text, CommandArgument) and title != _NO_MODELFILE else title


def _path(folder: Path, text: str) -> Path:
    return folder / os.path.expanduser(text)


def _files(at: str, command: str, folder: Path, text: str) -> list[Path]:
    """The files of a path in a Modelfile. Raises CommandFailed, whose message begins with `at`."""
    path = _path(folder, text)
    if not _exists(at, path):
        raise CommandFailed(f"{at}: {command} {text}: no such file or folder: {path}")
    try:
        return files_at(path)
    except CommandFailed as failure:
        raise CommandFailed(f"{at}: {failure}") from None


def _exists(at: str, path: Path) -> bool:
    try:
        return path.exists()
    except OSError as error:
        raise CommandFailed(f"{at}: {path}: {error.strerror}") from None
