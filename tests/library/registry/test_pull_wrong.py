"""What is not what was promised: digests, lengths, web pages and manifests."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from puna.errors import BadRequest, NotFound, PunaError
from puna.library import Library, Name, pull, push
from puna.library.manifests import IMAGE
from tests.library.registry.conftest import DIGEST, LIMITS, MEGABYTE, MODEL, SIZE, WEIGHTS, put
from tests.library.registry.pulling import nothing_is_left, pulled
from tests.registries import Fault, Line


def test_a_wrong_digest_is_named_and_nothing_stays(way: Line, library: Library, key: Path):
    way.faults(Fault("corrupt", after=1000))
    wanted = f"digest mismatch, file must be downloaded again: want {DIGEST}, got sha256:[0-9a-f]{{64}}"
    with pytest.raises(PunaError, match=wanted):
        pulled(library, way.host, key)
    assert nothing_is_left(library)
    pulled(library, way.host, key)
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS


@pytest.mark.parametrize("kind", ["endless", "longer"])
def test_a_body_without_an_end_is_refused(way: Line, library: Library, key: Path, kind: Any):
    way.fault = lambda asked: Fault(kind) if asked.blob else None
    with pytest.raises(PunaError, match=f"wrong length of {DIGEST}"):
        pulled(library, way.host, key)
    assert library.list() == []
    assert not library.blobs.path(DIGEST).exists()


def test_a_web_page_is_no_blob(way: Line, library: Library, key: Path):
    way.fault = lambda asked: Fault("html") if asked.blob else None
    with pytest.raises(PunaError, match=rf"answered with a web page instead of {DIGEST}"):
        pulled(library, way.host, key)
    assert library.list() == []


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (Fault("html"), "pull model manifest: the registry's answer is no manifest"),
        (Fault("endless"), "sent more than 4 MB where a short answer belongs"),
        (Fault("status", status=404), "pull model manifest: file does not exist"),
        (Fault("status", status=403), "pull model manifest: 403: no luck"),
        (Fault("cut", after=10), "pull model manifest: the connection to .* broke"),
    ],
)
def test_what_comes_instead_of_a_manifest_is_said(
    way: Line, library: Library, key: Path, fault: Fault, message: str
):
    way.fault = lambda asked: fault
    with pytest.raises(PunaError, match=message):
        pulled(library, way.host, key)
    assert not library.root.exists()


def test_a_model_that_is_not_there_is_not_found(hub: str, library: Library, key: Path):
    with pytest.raises(NotFound, match=r"^pull model manifest: file does not exist$"):
        pulled(library, hub, key, "library/nobody")


LAYER = {"mediaType": IMAGE + "model", "digest": f"sha256:{'0' * 64}", "size": 10}
DOCKER = "application/vnd.docker.distribution.manifest."


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ({"mediaType": DOCKER + "list.v2+json", "manifests": []}, f"unsupported media type {DOCKER}list"),
        ({"mediaType": DOCKER + "v1+json", "layers": [LAYER]}, "unsupported media type"),
        (
            {"layers": [{**LAYER, "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip"}]},
            "not a model",
        ),
        ({"layers": [{**LAYER, "digest": "sha256:../../../etc/passwd"}]}, "no manifest"),
        ({"layers": [{**LAYER, "size": -1}]}, "size of -1 bytes"),
        ({"layers": [{**LAYER, "size": 1 << 62}]}, "not enough disk space"),
        ({"layers": [{**LAYER, "mediaType": IMAGE + "tensor"}]}, "requires MLX"),
        ({"config": LAYER}, "no manifest"),
        ([], "no manifest"),
    ],
)
def test_a_foreign_manifest_changes_nothing(library: Library, key: Path, manifest: Any, message: str):
    with _answering(json.dumps(manifest).encode()) as host, pytest.raises(PunaError, match=message):
        pulled(library, host, key)
    assert nothing_is_left(library) or "disk space" in message
    assert library.list() == []


@pytest.mark.parametrize("difference", [-MEGABYTE, -1, 1, 7 * MEGABYTE])
def test_a_manifest_with_the_wrong_size_changes_nothing(
    hub: str, library: Library, key: Path, tmp_path: Path, difference: int
):
    name = f"{hub}/library/lying"
    source = Library(tmp_path / "source")
    put(source, name)
    manifest = Path(f"{source.root}/manifests/{Name.parse(name).path()}")
    push(source, name, lambda step: None, insecure=True, key=key, limits=LIMITS)
    manifest.write_text(manifest.read_text().replace(f'"size":{SIZE}', f'"size":{SIZE + difference}'))
    push(source, name, lambda step: None, insecure=True, key=key, limits=LIMITS)
    with pytest.raises(
        PunaError, match=f"wrong length of {DIGEST}: its manifest says {SIZE + difference} bytes"
    ):
        pulled(library, hub, key, "library/lying")
    assert library.list() == []
    assert not library.blobs.path(DIGEST).exists()


class _answering:
    """A server that gives the same body to whatever is asked."""

    def __init__(self, body: bytes) -> None:
        self._answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
            len(body),
            body,
        )

    def __enter__(self) -> str:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                connection.recv(65536)
                connection.sendall(self._answer)

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)  # ends `accept`
        self._server.join()
        self._socket.close()


def test_http_must_be_allowed(library: Library, key: Path):
    with pytest.raises(BadRequest, match=r"^insecure protocol http$"):
        pull(library, "http://127.0.0.1:9/library/x", lambda step: None, key=key)


def test_https_where_http_is_spoken_says_what_to_do(hub: str, library: Library, key: Path):
    with pytest.raises(PunaError, match=rf"pull model manifest: cannot speak HTTPS with {hub}: .*--insecure"):
        pull(library, f"{hub}/{MODEL}", lambda step: None, key=key, limits=LIMITS)
