"""The endpoints of one model in the OCI distribution protocol."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from puna.errors import BadRequest
from puna.library.names import Name


@dataclass(frozen=True)
class Repository:
    """A model in a registry. `base` is the registry's scheme, host and port."""

    base: str
    path: str
    tag: str

    @classmethod
    def of(cls, name: Name, *, insecure: bool) -> Repository:
        """The repository of `name`, over HTTPS, or with `insecure` over HTTP as in Ollama."""
        return cls(
            f"{'http' if insecure else 'https'}://{name.host}", f"{name.namespace}/{name.model}", name.tag
        )

    def manifest(self) -> str:
        return f"{self.base}/v2/{self.path}/manifests/{self.tag}"

    def blob(self, digest: str) -> str:
        return f"{self.base}/v2/{self.path}/blobs/{normalize_digest(digest)}"

    def uploads(self, *, mount: str = "", source: str = "") -> str:
        """The URL that starts an upload, or mounts the blob `mount` from the repository `source`."""
        query = f"?{urlencode({'mount': mount, 'from': source})}" if source else ""
        return f"{self.base}/v2/{self.path}/blobs/uploads/{query}"


def normalize_digest(digest: str) -> str:
    """A digest in the registries' spelling. Old manifests have "-" for ":", and capitals."""
    return digest.replace("-", ":").lower()


def check_scheme(name: str | Name, *, insecure: bool) -> None:
    """Raises BadRequest for a name that begins with "http://", unless `insecure`."""
    if isinstance(name, str) and name.startswith("http://") and not insecure:
        raise BadRequest("insecure protocol http")
