"""Pulling from a real registry over good lines and bad ones."""

from __future__ import annotations

import hashlib
import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from puna.library import Layer, Library, Name, pull, push
from puna.library.manifests import IMAGE
from puna.library.registry import Pace, journal
from puna.library.registry.client import Registry
from puna.library.registry.obtain import obtain
from puna.library.registry.repository import Repository
from puna.types import BadRequest, NotFound, Progress, PunaError
from tests.library.registry.conftest import (
    DIGEST,
    MEGABYTE,
    MODEL,
    PACE,
    SIZE,
    WEIGHTS,
    contents,
    put,
    statuses,
)
from tests.registries import Asked, Fault, Line


def pulled(library: Library, host: str, key: Path, name: str = MODEL, **pace: Any) -> list[Progress]:
    steps: list[Progress] = []
    settings = Pace(**{**vars(PACE), **pace})
    pull(library, f"{host}/{name}", steps.append, insecure=True, key=key, pace=settings)
    return steps


def partial(library: Library, suffix: str = "") -> Path:
    return library.partial_blob(DIGEST, suffix)


def nothing_is_left(library: Library) -> bool:
    blobs = [path for path in (library.root / "blobs").glob("*") if "partial" in path.name]
    return not blobs and library.list() == []


def test_a_model_comes_as_it_was_pushed_and_is_announced_in_ollamas_words(
    hub: str, way: Line, library: Library, key: Path, tmp_path: Path
):
    steps = pulled(library, way.host, key)
    name = f"{way.host}/{MODEL}"
    there = library.open(name)
    assert statuses([step.status for step in steps]) == [
        "pulling manifest",
        *(f"pulling {layer.digest[7:19]}" for layer in there.layers),
        *statuses([step.status for step in steps])[4:5],  # the config
        "verifying sha256 digest",
        "writing manifest",
        "success",
    ]
    weights = [step for step in steps if step.digest == DIGEST]
    assert weights[-1] == Progress(f"pulling {DIGEST[7:19]}", digest=DIGEST, total=SIZE, completed=SIZE)
    assert [step.completed for step in weights] == sorted(step.completed for step in weights)
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS
    source = Library(tmp_path / "source")
    put(source, f"{way.host}/{MODEL}")
    assert contents(library, name) == contents(source, name)
    assert not list((library.root / "blobs").glob("*partial*"))
    assert len({asked.begin for asked in way.blobs()}) == 4, "parts of 1 MB were asked for"
    assert not key.exists(), "nobody asked for it"


def test_what_is_there_is_not_fetched_again(way: Line, library: Library, key: Path):
    pulled(library, way.host, key)
    before = way.sent()
    steps = pulled(library, way.host, key)
    assert way.sent() == before
    assert Progress(f"pulling {DIGEST[7:19]}", digest=DIGEST, total=SIZE, completed=SIZE) in steps


def test_a_blob_of_the_wrong_size_is_fetched_again(way: Line, library: Library, key: Path):
    pulled(library, way.host, key)
    library.blob_path(DIGEST).write_bytes(b"damaged")
    pulled(library, way.host, key)
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS


def test_layers_that_only_the_old_model_had_are_removed(
    hub: str, library: Library, key: Path, tmp_path: Path
):
    name = f"{hub}/library/changing"
    source = Library(tmp_path / "source")
    removing = []
    for weights in (b"old", b"new"):
        put(source, name, weights)
        push(source, name, lambda step: None, insecure=True, key=key)
        steps = pulled(library, hub, key, "library/changing")
        removing.append("removing unused layers" in [step.status for step in steps])
    assert removing == [False, True]
    assert not library.blob_path(f"sha256:{hashlib.sha256(b'old').hexdigest()}").exists()


@pytest.mark.parametrize("kind", ["cut", "end", "stall"])
def test_a_broken_line_costs_no_byte_twice(way: Line, library: Library, key: Path, kind: Any):
    way.faults(Fault(kind, after=300_000), Fault(kind, after=700_001), Fault(kind, after=0))
    pulled(library, way.host, key)
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS
    small = (
        sum(layer.size for layer in library.open(f"{way.host}/{MODEL}").layers)
        - SIZE
        + len('{"model_format":"gguf"}\n')
    )
    # A reset may throw away what had not been read yet; an end and a silence do not.
    assert way.sent() == SIZE + small or (kind == "cut" and way.sent() <= SIZE + small + 1_000_001)


def test_a_line_that_breaks_again_and_again_is_used_as_long_as_it_brings_something(
    way: Line, library: Library, key: Path
):
    way.fault = lambda asked: Fault("end", after=200_000) if asked.blob else None
    pulled(library, way.host, key)
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS
    assert len(way.blobs()) > 15


def test_a_line_that_brings_nothing_is_given_up_and_taken_up_later(way: Line, library: Library, key: Path):
    way.fault = lambda asked: (
        Fault("stall", after=100_000 if asked.begin % MEGABYTE == 0 else 0) if asked.blob else None
    )
    with pytest.raises(PunaError, match=r"max retries exceeded: .* sent nothing for a while"):
        pulled(library, way.host, key, stall=0.2)
    kept = journal.completed(partial(library, ".journal"))
    assert 100_000 <= kept <= 400_000
    assert library.list() == []

    way.fault = lambda asked: None
    way.asked.clear()
    steps = pulled(library, way.host, key)
    weights = [asked for asked in way.blobs() if DIGEST in asked.path]
    assert sum(asked.sent for asked in weights) == SIZE - kept
    assert next(step.completed for step in steps if step.digest == DIGEST) == kept
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS


def test_errors_of_the_server_pass(way: Line, library: Library, key: Path):
    way.faults(Fault("status", status=500), Fault("status", status=503), Fault("status", status=429))
    pulled(library, way.host, key)
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS


@pytest.mark.parametrize("fault", [Fault("status", status=502), Fault("cut")], ids=str)
def test_a_manifest_is_asked_for_again_when_that_may_help(
    way: Line, library: Library, key: Path, fault: Fault
):
    left = [fault, fault]
    way.fault = lambda asked: left.pop() if left and "/manifests/" in asked.path else None
    pulled(library, way.host, key)
    assert not left
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("fault", "times"),
    [(Fault("status", status=500), 3), (Fault("status", status=403), 1), (Fault("stall"), 1)],
    ids=str,
)
def test_a_hub_that_gives_no_manifest_is_not_asked_for_long(
    way: Line, library: Library, key: Path, fault: Fault, times: int
):
    way.fault = lambda asked: fault
    with pytest.raises(PunaError, match=r"^pull model manifest: "):
        pulled(library, way.host, key, stall=0.1)
    assert len(way.asked) == times


def test_a_server_without_ranges_sends_everything_in_one_answer(way: Line, library: Library, key: Path):
    way.fault = lambda asked: Fault("unranged")
    pulled(library, way.host, key)
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS
    assert len([asked for asked in way.blobs() if DIGEST in asked.path]) == 1


def test_a_server_without_ranges_is_followed_past_what_is_there(way: Line, library: Library, key: Path):
    way.faults(*[Fault("end", after=1_500_000)] * 4)
    with pytest.raises(PunaError, match="max retries exceeded"):
        pulled(library, way.host, key, attempts=1, part=8 * MEGABYTE)
    kept = journal.completed(partial(library, ".journal"))
    way.fault = lambda asked: Fault("unranged")
    steps = pulled(library, way.host, key)
    assert next(step.completed for step in steps if step.digest == DIGEST) == kept == 1_500_000
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS


def test_a_wrong_digest_is_named_and_nothing_stays(way: Line, library: Library, key: Path):
    way.faults(Fault("corrupt", after=1000))
    wanted = f"digest mismatch, file must be downloaded again: want {DIGEST}, got sha256:[0-9a-f]{{64}}"
    with pytest.raises(PunaError, match=wanted):
        pulled(library, way.host, key)
    assert nothing_is_left(library)
    pulled(library, way.host, key)
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS


@pytest.mark.parametrize("kind", ["endless", "longer"])
def test_a_body_without_an_end_is_refused(way: Line, library: Library, key: Path, kind: Any):
    way.fault = lambda asked: Fault(kind) if asked.blob else None
    with pytest.raises(PunaError, match=f"wrong length of {DIGEST}"):
        pulled(library, way.host, key)
    assert library.list() == []
    assert not library.blob_path(DIGEST).exists()


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
    push(source, name, lambda step: None, insecure=True, key=key, pace=PACE)
    manifest.write_text(manifest.read_text().replace(f'"size":{SIZE}', f'"size":{SIZE + difference}'))
    push(source, name, lambda step: None, insecure=True, key=key, pace=PACE)
    with pytest.raises(
        PunaError, match=f"wrong length of {DIGEST}: its manifest says {SIZE + difference} bytes"
    ):
        pulled(library, hub, key, "library/lying")
    assert library.list() == []
    assert not library.blob_path(DIGEST).exists()


class _answering:
    """A server that gives the same body to whatever is asked."""

    def __init__(self, body: bytes) -> None:
        self._answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
            len(body),
            body,
        )

    def __enter__(self) -> str:
        self._socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
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
        self._socket.close()


def test_an_error_in_the_report_cancels_and_what_arrived_is_kept(way: Line, library: Library, key: Path):
    way.fault = lambda asked: Fault("stall", after=500_000) if asked.blob else None

    def report(step: Progress) -> None:
        if step.completed >= 500_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(
            library,
            f"{way.host}/{MODEL}",
            report,
            insecure=True,
            key=key,
            pace=Pace(**{**vars(PACE), "stall": 60}),
        )
    assert journal.completed(partial(library, ".journal")) >= 500_000
    assert not library.blob_path(DIGEST).exists()


def test_an_empty_blob_needs_no_request(way: Line, library: Library, key: Path):
    pulled(library, way.host, key)
    empty = f"sha256:{hashlib.sha256(b'').hexdigest()}"
    assert library.blob_path(empty).read_bytes() == b""
    assert not [asked for asked in way.blobs() if empty in asked.path]


def test_a_journal_of_something_else_is_not_believed(way: Line, library: Library, key: Path):
    partial(library).write_bytes(bytes(SIZE))
    partial(library, ".journal").write_bytes(b"puna-partial-1\n\0" + b"\xff" * 48)
    pulled(library, way.host, key)
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS


def test_http_must_be_allowed(library: Library, key: Path):
    with pytest.raises(BadRequest, match=r"^insecure protocol http$"):
        pull(library, "http://127.0.0.1:9/library/x", lambda step: None, key=key)


def test_https_where_http_is_spoken_says_what_to_do(hub: str, library: Library, key: Path):
    with pytest.raises(PunaError, match=rf"pull model manifest: cannot speak HTTPS with {hub}: .*--insecure"):
        pull(library, f"{hub}/{MODEL}", lambda step: None, key=key, pace=PACE)


@pytest.mark.parametrize(
    ("host", "message"),
    [
        ("127.0.0.1:9", r"cannot reach 127\.0\.0\.1:9: Connection refused; check the network"),
        ("no-such-host.invalid", r"cannot find no-such-host\.invalid: check the network"),
    ],
)
def test_an_unreachable_hub_is_named_at_once(library: Library, key: Path, host: str, message: str):
    with pytest.raises(PunaError, match=message):
        pulled(library, host, key, back_off=1000)


def test_two_pulls_of_one_blob_fetch_it_once(way: Line, library: Library, key: Path):
    """Threads here; the lock is the same between processes (tests/server/test_pull.py has two)."""
    begun, proceed = threading.Event(), threading.Event()

    def fault(asked: Asked) -> None:
        if asked.blob and DIGEST in asked.path:
            begun.set()
            proceed.wait(30)

    way.fault = fault
    seen: list[Progress] = []

    def report(step: Progress) -> None:
        seen.append(step)
        if step.digest == DIGEST:
            proceed.set()

    first = threading.Thread(target=pulled, args=(library, way.host, key))
    first.start()
    assert begun.wait(30)
    second = Library(library.root)
    pull(second, f"{way.host}/{MODEL}", report, insecure=True, key=key, pace=PACE)
    first.join()
    assert sum(asked.sent for asked in way.blobs() if DIGEST in asked.path) == SIZE
    assert seen[-1].status == "success"


def test_who_waits_takes_over_when_the_other_is_cancelled(way: Line, library: Library, key: Path):
    way.faults(*[Fault("stall", after=200_000)] * 4)
    halfway, cancel = threading.Event(), threading.Event()

    def first_report(step: Progress) -> None:
        if step.completed >= 200_000 and step.digest == DIGEST:
            halfway.set()
            cancel.wait(30)
            raise InterruptedError

    def first_pull() -> None:
        with pytest.raises(InterruptedError):
            pull(
                library,
                f"{way.host}/{MODEL}",
                first_report,
                insecure=True,
                key=key,
                pace=Pace(**{**vars(PACE), "stall": 60}),
            )

    def second_report(step: Progress) -> None:
        if step.digest == DIGEST:
            followed.append(step.completed)
            cancel.set()

    followed: list[int] = []
    first = threading.Thread(target=first_pull)
    first.start()
    assert halfway.wait(30)
    pull(Library(library.root), f"{way.host}/{MODEL}", second_report, insecure=True, key=key, pace=PACE)
    first.join()
    assert followed[0] >= 200_000
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS
    assert sum(asked.sent for asked in way.blobs() if DIGEST in asked.path) == SIZE


@pytest.mark.parametrize(
    "name", ["hf.co/user/repo:Q4_K_M", "huggingface.co/u/r", "modelscope.cn/u/r", "llama3"]
)
def test_every_hub_is_asked_in_the_same_way(name: str):
    parsed = Name.parse(name)
    where = Repository.of(parsed, insecure=False)
    path = f"{parsed.namespace}/{parsed.model}"
    assert where.manifest() == f"https://{parsed.host}/v2/{path}/manifests/{parsed.tag}"
    assert where.blob(DIGEST) == f"https://{parsed.host}/v2/{path}/blobs/{DIGEST}"


def test_a_layer_names_its_digest_in_any_spelling(hub: str, library: Library, key: Path):
    layer = Layer(IMAGE + "model", DIGEST.upper().replace("SHA256:", "sha256-"), SIZE)
    registry, repository = (
        Registry(f"http://{hub}", key, PACE),
        Repository(f"http://{hub}", "library/x", "latest"),
    )
    obtain(library, registry, repository.blob(layer.digest), layer, lambda step: None, PACE)
    assert library.blob_path(DIGEST).read_bytes() == WEIGHTS
