"""Models at rest: what a pull, a creation, a list and a look cost, beside curl and sha256sum."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import httpx

from benchmarks.table import MEGABYTE, Row, median
from puna.library import Layer, Library, Name, push
from tests.library.stores import put_real
from tests.registries import registry
from tests.running import Server, serving

SIZE = 512 * MEGABYTE
MODEL = "application/vnd.ollama.image.model"
CACHE = Path(__file__).resolve().parent.parent / ".cache"


def rows() -> Iterator[Row]:
    """Every target of the model library."""
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="bench-") as folder:
        yield from storing(Path(folder))
        yield from pulling(Path(folder) / "pulled")
        yield from looking(Path(folder) / "many")


def storing(folder: Path) -> Iterator[Row]:
    """A big file becomes a blob without a second copy, at the speed of reading and hashing it."""
    file = folder / "big"
    with file.open("wb") as out:
        for _ in range(SIZE // MEGABYTE):
            out.write(os.urandom(MEGABYTE))
    digest = _sha256sum(file)
    with serving(folder / "models") as server:

        def once() -> float:
            started = time.perf_counter()
            _sha256sum(file)
            limit = time.perf_counter() - started
            shutil.rmtree(folder / "models" / "blobs", ignore_errors=True)
            started = time.perf_counter()
            header = {"Puna-Local-Path": urllib.parse.quote(str(file))}
            answer = httpx.post(f"{server.url}/api/blobs/sha256:{digest}", headers=header, timeout=None)
            assert answer.status_code == 201, answer.text
            return limit / (time.perf_counter() - started)

        yield Row("a local GGUF into the store, of sha256sum", median(once), 0.9)
        yield Row("peak memory of the server meanwhile", _peak(server), 150, "MB", more_is_better=False)


def pulling(folder: Path) -> Iterator[Row]:
    """A big blob from a registry on this machine, beside curl that fetches it to the same disk, lastingly."""
    with registry(folder / "registry") as hub, serving(folder / "models") as server:
        name, digest = f"{hub}/me/big", _published(folder, hub)
        file = folder / "fetched"

        def once() -> float:
            started = time.perf_counter()
            subprocess.run(["curl", "-sfo", file, f"http://{hub}/v2/me/big/blobs/{digest}"], check=True)
            subprocess.run(["sync", file], check=True)
            limit = time.perf_counter() - started
            file.unlink()
            started = time.perf_counter()
            body = {"model": name, "insecure": True, "stream": False}
            httpx.post(f"{server.url}/api/pull", json=body, timeout=None).raise_for_status()
            taken = time.perf_counter() - started
            shutil.rmtree(folder / "models")
            return limit / taken

        yield Row("a pull over loopback, of curl", median(once), 0.8)
        yield Row("peak memory of the server meanwhile", _peak(server), 150, "MB", more_is_better=False)


def _published(folder: Path, hub: str) -> str:
    """The digest of the weights of the model `me/big`, pushed to the registry."""
    library = Library(folder / "source")
    weights = library.blobs.add(os.urandom(MEGABYTE) for _ in range(SIZE // MEGABYTE))
    name = Name.parse(f"{hub}/me/big")
    library.write_manifest(name, {"model_format": "gguf"}, [Layer(MODEL, *weights)])
    push(library, name, lambda step: None, insecure=True)
    shutil.rmtree(library.root)
    return weights[0]


def looking(folder: Path) -> Iterator[Row]:
    """Lists and details in a store of 500 models."""
    library = Library(folder)
    put_real(library, "m0", template="{{ .Prompt }}", params=json.dumps({"temperature": 1}))
    for number in range(1, 500):
        library.copy("m0", f"m{number}")
    with serving(folder) as server, httpx.Client(base_url=server.url) as client:

        def tags() -> float:
            return 1000 * _seconds(client, "GET", "/api/tags")

        def show() -> float:
            return 1000 * _seconds(client, "POST", "/api/show", {"model": "m7"})

        yield Row("/api/tags with 500 models, warm", median(tags, 15), 20, "ms", more_is_better=False)
        yield Row("/api/show, warm", median(show, 15), 10, "ms", more_is_better=False)


def _seconds(client: httpx.Client, method: str, path: str, body: object = None) -> float:
    started = time.perf_counter()
    client.request(method, path, json=body).raise_for_status()
    return time.perf_counter() - started


def _sha256sum(file: Path) -> str:
    return subprocess.run(["sha256sum", file], check=True, capture_output=True, text=True).stdout[:64]


def _peak(server: Server) -> float:
    """Most memory the server ever held, in MB."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
