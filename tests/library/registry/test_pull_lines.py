"""Pulling over bad lines: nothing is fetched twice, and what is worth it is tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from puna.errors import PunaError
from puna.library import Library
from puna.library.registry import journal
from tests.library.registry.conftest import DIGEST, MEGABYTE, MODEL, SIZE, WEIGHTS
from tests.library.registry.pulling import partial, pulled
from tests.registries import Fault, Line


@pytest.mark.parametrize("kind", ["cut", "end", "stall"])
def test_a_broken_line_costs_no_byte_twice(way: Line, library: Library, key: Path, kind: Any):
    way.faults(Fault(kind, after=300_000), Fault(kind, after=700_001), Fault(kind, after=0))
    pulled(library, way.host, key)
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS
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
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS
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
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
def test_a_registry_that_asks_for_a_wait_gets_it(way: Line, library: Library, key: Path, part: str):
    left = [Fault("status", status=503, retry_after="1"), Fault("status", status=429, retry_after="soon")]
    way.fault = lambda asked: left.pop() if left and part in asked.path else None
    pulled(library, way.host, key, streams=1)
    assert not left
    tries = [asked.time for asked in way.asked if part in asked.path][:3]
    assert tries[2] - tries[1] >= 1
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS


@pytest.mark.parametrize("part", ["/manifests/", "/blobs/"])
def test_a_registry_that_asks_for_too_long_a_wait_is_not_asked_again(
    way: Line, library: Library, key: Path, part: str
):
    way.fault = lambda asked: Fault("status", status=429, retry_after="1000") if part in asked.path else None
    with pytest.raises(PunaError, match=r"429: no luck \(it asks to wait for 1000 s\)$"):
        pulled(library, way.host, key, streams=1)
    assert len([asked for asked in way.asked if part in asked.path]) == 1


def test_errors_of_the_server_pass(way: Line, library: Library, key: Path):
    way.faults(Fault("status", status=500), Fault("status", status=503), Fault("status", status=429))
    pulled(library, way.host, key)
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS


@pytest.mark.parametrize("fault", [Fault("status", status=502), Fault("cut")], ids=str)
def test_a_manifest_is_asked_for_again_when_that_may_help(
    way: Line, library: Library, key: Path, fault: Fault
):
    left = [fault, fault]
    way.fault = lambda asked: left.pop() if left and "/manifests/" in asked.path else None
    pulled(library, way.host, key)
    assert not left
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("fault", "stall", "times"),
    [(Fault("status", status=500), 60, 3), (Fault("status", status=403), 60, 1), (Fault("stall"), 0.1, 1)],
    ids=str,
)
def test_a_hub_that_gives_no_manifest_is_not_asked_for_long(
    way: Line, library: Library, key: Path, fault: Fault, stall: float, times: int
):
    way.fault = lambda asked: fault
    with pytest.raises(PunaError, match=r"^pull model manifest: "):
        pulled(library, way.host, key, stall=stall)
    assert len(way.asked) == times


def test_a_server_without_ranges_sends_everything_in_one_answer(way: Line, library: Library, key: Path):
    way.fault = lambda asked: Fault("unranged")
    pulled(library, way.host, key)
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS
    assert len([asked for asked in way.blobs() if DIGEST in asked.path]) == 1


def test_a_server_without_ranges_is_followed_past_what_is_there(way: Line, library: Library, key: Path):
    way.faults(*[Fault("end", after=1_500_000)] * 4)
    with pytest.raises(PunaError, match="max retries exceeded"):
        pulled(library, way.host, key, attempts=1, part=8 * MEGABYTE)
    kept = journal.completed(partial(library, ".journal"))
    way.fault = lambda asked: Fault("unranged")
    steps = pulled(library, way.host, key)
    assert next(step.completed for step in steps if step.digest == DIGEST) == kept == 1_500_000
    assert library.blobs.path(DIGEST).read_bytes() == WEIGHTS


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
