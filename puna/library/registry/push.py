"""Pushes a model to its registry."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from puna.errors import InvalidName, PunaError
from puna.library import manifests
from puna.library.manifests import Layer
from puna.library.names import Name
from puna.library.registry.allowed import ANY_HOST, AllowedHosts
from puna.library.registry.limits import DEFAULT_LIMITS, TransferLimits
from puna.library.registry.repository import Repository, check_scheme, normalize_digest
from puna.library.store import Library
from puna.types import Progress, Report

if TYPE_CHECKING:
    from puna.library.registry.client import Registry


def push(
    library: Library,
    name: str | Name,
    report: Report,
    *,
    insecure: bool = False,
    key: Path | None = None,
    limits: TransferLimits = DEFAULT_LIMITS,
    allowed: AllowedHosts = ANY_HOST,
) -> None:
    """Send a model to the registry in its name. Skips blobs that the registry has.

    Parameters and errors are those of `pull`.
    """
    report(Progress("retrieving manifest"))
    check_scheme(name, insecure=insecure)
    resolved = library.resolve(name)
    allowed.check(resolved.host)
    repository = Repository.of(resolved, insecure=insecure)
    model = library.open(resolved)
    # Sent unchanged, because re-encoding would change its digest.
    content = library.manifest_path(resolved).read_bytes()
    manifest = manifests.decode(content)

    from puna.library.registry.client import Registry

    with closing(Registry(repository.base, key, limits, allowed)) as registry:
        for layer in (*model.layers, *([manifest.config] if manifest.config.digest else [])):
            _send(library, registry, repository, resolved, layer, report, limits)
        report(Progress("pushing manifest"))
        registry.retry(lambda: _put(registry, repository, manifest.media_type, content))
    report(Progress("success"))


def _put(registry: Registry, repository: Repository, kind: str, content: bytes) -> None:
    headers = {"Content-Type": kind}
    with closing(registry.request("PUT", repository.manifest(), headers, lambda: content)) as answer:
        answer.raise_for_status()


def _send(
    library: Library,
    registry: Registry,
    repository: Repository,
    name: Name,
    layer: Layer,
    report: Report,
    limits: TransferLimits,
) -> None:
    from puna.library.registry.upload import Upload
    from puna.library.registry.watch import watch

    digest = normalize_digest(layer.digest)

    def at(completed: int) -> Progress:
        return Progress(f"pushing {digest[7:19]}", digest=digest, total=layer.size, completed=completed)

    if registry.retry(lambda: registry.has(repository.blob(digest))):
        report(at(layer.size))
        return
    try:
        file = open(library.blobs.path(digest), "rb", buffering=0)  # noqa: SIM115 - closed below
    except OSError as error:
        raise PunaError(f"cannot read {digest}: {error.strerror}") from error
    with file:
        upload = Upload(registry, repository, digest, file, limits)
        source = _source(layer, name)
        watch([lambda: upload.run(source)], upload.cancel, lambda: at(upload.sent), report)


def _source(layer: Layer, name: Name) -> str:
    """The repository of the same registry to mount a layer from; "" for none."""
    try:
        source = Name.parse(layer.source) if layer.source else name
    except InvalidName:
        return ""
    if source.host != name.host or (source.namespace, source.model) == (name.namespace, name.model):
        return ""
    return f"{source.namespace}/{source.model}"
