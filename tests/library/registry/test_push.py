"""Pushing to a real registry, and getting the same back."""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from puna.errors import NotFound, PunaError
from puna.library import AllowedHosts, Layer, Library, Name, pull, push
from puna.library.manifests import IMAGE
from puna.library.registry import TransferLimits
from puna.types import Progress
from tests.library.registry.conftest import LIMITS, MEGABYTE, contents, put, statuses
from tests.registries import Asked, Fault, Line


@pytest.fixture
def weights() -> bytes:
    """Never pushed before."""
    return random.randbytes(2 * MEGABYTE + 77)


def digest(weights: bytes) -> str:
    return f"sha256:{hashlib.sha256(weights).hexdigest()}"


def pushed(library: Library, name: str, key: Path, **limits: Any) -> list[Progress]:
    steps: list[Progress] = []
    # The registry may send chunks to this machine by its other name.
    allowed = AllowedHosts(("*", name.partition("/")[0].replace("127.0.0.1", "localhost")))
    own = TransferLimits(**{**vars(LIMITS), **limits})
    push(library, name, steps.append, insecure=True, key=key, limits=own, allowed=allowed)
    return steps


def fetch(library: Library, name: str, key: Path) -> None:
    pull(library, name, lambda step: None, insecure=True, key=key, limits=LIMITS)


def test_a_model_that_was_pushed_and_removed_comes_back_byte_for_byte(
    way: Line, library: Library, key: Path, tmp_path: Path, weights: bytes
):
    name = f"{way.host}/me/mine:v1"
    put(library, name, weights)
    before = contents(library, name)
    steps = pushed(library, name, key)
    layers = library.open(name).layers
    told = statuses([step.status for step in steps])
    assert told[0] == "retrieving manifest"
    assert told[1:-3] == [f"pushing {layer.digest[7:19]}" for layer in layers]
    assert told[-2:] == ["pushing manifest", "success"]
    last = [step for step in steps if step.digest == digest(weights)][-1]
    assert (last.total, last.completed) == (len(weights), len(weights))
    chunks = [asked for asked in way.asked if asked.method == "PATCH" and asked.received > 50]
    assert [asked.headers["Content-Range"] for asked in chunks] == [
        "0-1048575",
        "1048576-2097151",
        "2097152-2097228",
    ]

    library.delete(name)
    assert not library.blobs.path(digest(weights)).exists()
    fetch(library, name, key)
    assert contents(library, name) == before
    elsewhere = Library(tmp_path / "another machine")
    fetch(elsewhere, name, key)
    assert contents(elsewhere, name) == before


def test_what_the_registry_has_is_not_sent(way: Line, library: Library, key: Path, weights: bytes):
    name = f"{way.host}/me/again"
    put(library, name, weights)
    pushed(library, name, key)
    way.asked.clear()
    steps = pushed(library, name, key)
    assert {asked.method for asked in way.asked} == {"HEAD", "PUT"}
    assert [step.completed for step in steps if step.digest == digest(weights)] == [len(weights)]


def test_a_layer_of_another_repository_is_mounted(way: Line, library: Library, key: Path, weights: bytes):
    put(library, f"{way.host}/me/base", weights)
    pushed(library, f"{way.host}/me/base", key)
    layer = library.open(f"{way.host}/me/base").layers[0]
    child = Name.parse(f"{way.host}/me/child")
    source = f"{way.host}/me/base:latest"
    library.write_manifest(child, {}, [Layer(IMAGE + "model", layer.digest, layer.size, source)])
    way.asked.clear()
    pushed(library, str(child), key)
    assert [asked for asked in way.asked if f"mount=sha256%3A{layer.digest[7:]}&from=me%2Fbase" in asked.path]
    assert sum(asked.received for asked in way.asked if asked.method == "PATCH") < 1000


@pytest.mark.parametrize("host", ["registry.ollama.ai", "no/such/name"])
def test_a_layer_of_another_registry_is_sent(
    way: Line, library: Library, key: Path, weights: bytes, host: str
):
    name = Name.parse(f"{way.host}/me/foreign")
    found, size = library.blobs.add([weights])
    library.write_manifest(name, {}, [Layer(IMAGE + "model", found, size, f"{host}/me/base")])
    pushed(library, str(name), key)
    assert not [asked for asked in way.asked if "mount" in asked.path]
    assert sum(asked.received for asked in way.asked if asked.method == "PATCH") >= size


@pytest.mark.parametrize(
    "fault",
    [
        Fault("cut", after=500_000),
        Fault("cut", after=0),
        Fault("status", status=503),
        Fault("status", status=429, retry_after="1"),
        Fault("status", status=416),
    ],
    ids=str,
)
def test_an_upload_goes_on_after_a_failure(
    way: Line, library: Library, key: Path, weights: bytes, fault: Fault
):
    name = f"{way.host}/me/broken"
    put(library, name, weights)
    chunks: list[Asked] = []
    """From the one on that fails: the first that does not begin the upload."""

    def second_fails(asked: Asked) -> Fault | None:
        if chunks or not asked.headers.get("Content-Range", "0-").startswith("0-"):
            chunks.append(asked)
        return fault if chunks == [asked] else None

    way.fault = second_fails
    pushed(library, name, key)
    failed, *others = chunks
    if fault.retry_after:
        assert others[0].time - failed.time >= int(fault.retry_after)
    elsewhere = Library(library.root / "elsewhere")
    fetch(elsewhere, name, key)
    assert contents(elsewhere, name) == contents(library, name)


@pytest.mark.parametrize("method", ["HEAD", "PUT"])
def test_a_short_request_that_fails_is_made_again(
    way: Line, library: Library, key: Path, weights: bytes, method: str
):
    name = f"{way.host}/me/again-{method.lower()}"
    put(library, name, weights)
    left = [Fault("status", status=503), Fault("cut")]
    way.fault = lambda asked: left.pop() if left and asked.method == method else None
    pushed(library, name, key)
    assert not left
    library.delete(name)
    fetch(library, name, key)
    assert library.open(name).weights.read_bytes() == weights


def test_an_upload_that_gets_nowhere_ends(way: Line, library: Library, key: Path, weights: bytes):
    name = f"{way.host}/me/never"
    put(library, name, weights)
    way.fault = lambda asked: Fault("cut", after=1000) if asked.method == "PATCH" else None
    with pytest.raises(PunaError, match=r"max retries exceeded: the connection to .* broke"):
        pushed(library, name, key)
    assert not [asked for asked in way.asked if "/manifests/" in asked.path]


def test_an_error_in_the_report_cancels(way: Line, library: Library, key: Path, weights: bytes):
    name = f"{way.host}/me/cancelled"
    put(library, name, weights)

    def report(step: Progress) -> None:
        if step.digest:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        push(library, name, report, insecure=True, key=key, limits=LIMITS)
    assert not [asked for asked in way.asked if "/manifests/" in asked.path]


def test_a_model_that_is_not_here_cannot_be_pushed(way: Line, library: Library, key: Path):
    with pytest.raises(NotFound, match=r"model '.*/me/nothing:latest' not found"):
        pushed(library, f"{way.host}/me/nothing", key)
    assert not way.asked


def test_a_registry_may_have_chunks_sent_to_its_storage(library: Library, key: Path, weights: bytes):
    """registry.ollama.ai answers a chunk with 307; a sum of the chunks' sums goes with the last request."""
    with storing() as (host, asked):
        put(library, f"{host}/me/stored", weights)
        pushed(library, f"{host}/me/stored", key)
    cut = [weights[at : at + MEGABYTE] for at in range(0, len(weights), MEGABYTE)]
    assert [body for method, path, body in asked if path.startswith("/storage")][:3] == cut
    sums = hashlib.md5(b"".join(hashlib.md5(chunk).digest() for chunk in cut)).hexdigest()
    commit = next(path for method, path, body in asked if method == "PUT" and digest(weights)[7:] in path)
    assert parse_qs(urlsplit(commit).query) == {
        "chunk": ["3"],
        "digest": [digest(weights)],
        "etag": [f"{sums}-3"],
    }


@contextmanager
def storing() -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """A registry that keeps nothing itself; yields its host, and what it is asked: method, path, body."""
    asked: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked.append((self.command, self.path, body))
            number = int(self.path.rpartition("chunk=")[2] or 0) if self.command == "PATCH" else 0
            status = {"HEAD": 404, "POST": 202, "PATCH": 307, "PUT": 201}[self.command]
            self.send_response(status)
            if self.command in ("POST", "PATCH"):
                upload = f"/upload?chunk={number + (self.command == 'PATCH')}"
                storage = f"http://localhost:{server.server_address[1]}/storage/{number}"
                self.send_header("Docker-Upload-Location", upload)
                self.send_header("Location", storage if status == 307 else upload)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_PATCH = do_PUT = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}", asked
        server.shutdown()
