"""Restores a damaged model: fetches its missing blobs from their origin."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from puna.errors import InvalidName, NotFound, PunaError
from puna.library import manifests
from puna.library.manifests import Layer
from puna.library.names import Name
from puna.library.registry.allowed import ANY_HOST, AllowedHosts
from puna.library.registry.errors import Unreachable
from puna.library.registry.limits import DEFAULT_LIMITS, TransferLimits
from puna.library.registry.pull import pull
from puna.library.registry.repository import Repository, normalize_digest
from puna.library.starters import install, starter_for
from puna.library.store import Library
from puna.types import Report

if TYPE_CHECKING:
    from puna.library.registry.client import Registry


def restore(
    library: Library,
    name: str | Name,
    report: Report,
    *,
    insecure: bool = False,
    key: Path | None = None,
    limits: TransferLimits = DEFAULT_LIMITS,
    allowed: AllowedHosts = ANY_HOST,
) -> None:
    """Fetch the missing blobs of a model; a starter model is rebuilt.

    Keeps the manifest, because a model created here may share its name with one in a registry. Pulls only an
    unreadable or inconsistent manifest again, with its blobs.
    Parameters and errors are those of `pull`.
    """
    resolved = library.resolve(name)
    allowed.check(resolved.host)
    if starter_for(resolved):
        install(library, resolved, report)
        return
    missing = missing_blobs(library, resolved)
    if missing is None:
        pull(library, resolved, report, insecure=insecure, key=key, limits=limits, allowed=allowed)
        return

    from puna.library.registry.client import Registry

    for layer in missing:
        failure: PunaError | None = None
        for source in _sources(layer, resolved):
            repository = Repository.of(source, insecure=insecure)
            # `layer.source` comes from the manifest, which is untrusted.
            try:
                with closing(
                    Registry(repository.base, key, limits, allowed, user_host=resolved.host)
                ) as registry:
                    _fetch(library, registry, repository, layer, report, limits)
                break
            except (NotFound, Unreachable) as error:
                failure = failure or error
        else:
            raise failure or NotFound(f"{layer.digest} is nowhere")


def missing_blobs(library: Library, name: Name) -> list[Layer] | None:
    """The missing blobs of a model; None when its manifest is unreadable or gives a blob another size."""
    missing: list[Layer] = []
    try:
        blobs = manifests.decode(library.manifest_path(name).read_bytes()).blobs
    except (OSError, msgspec.DecodeError):
        return None
    for layer in blobs:
        try:
            if library.blobs.path(layer.digest).stat().st_size != layer.size:
                return None
        except OSError:
            missing.append(layer)
    return missing


def _sources(layer: Layer, name: Name) -> Iterator[Name]:
    """The repositories that may have a layer: its source's and its own."""
    if layer.source:
        with suppress(InvalidName):
            yield Name.parse(layer.source)
    yield name


def _fetch(
    library: Library,
    registry: Registry,
    repository: Repository,
    layer: Layer,
    report: Report,
    limits: TransferLimits,
) -> None:
    from puna.library.registry.obtain import obtain

    url = repository.blob(layer.digest)
    # Checked first, because a download retries for minutes.
    if not registry.retry(lambda: registry.has(url)):
        raise NotFound(f"{repository.base}/v2/{repository.path} has no {normalize_digest(layer.digest)}")
    obtain(library, registry, url, layer, report, limits)
