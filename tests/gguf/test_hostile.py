"""Headers that are cut, forged or greedy: each is refused in words, in little memory."""

from __future__ import annotations

import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import gguf
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from puna.errors import LoadFailed
from puna.gguf import read_metadata
from tests.gguf.raw import ALIGNMENT, HUGE, MAGIC, entry, header, read, tensor, text
from tests.model_parts import finish
from tests.models import embedding_model


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gguf"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "truncated"),
        (b"GG", "truncated"),
        (b"GGUF\3\0\0\0", "truncated"),
        (header(magic=b"GGML"), "not a GGUF file"),
        (b"PK\3\4" + b"\0" * 100, "not a GGUF file"),
        (header(version=1), "GGUF version 1"),
        (header(version=4), "GGUF version 4"),
        (header(version=0), "GGUF version 0"),
        (MAGIC + struct.pack(">IQQ", 3, 0, 0), "big-endian"),
        (header(entries=1), "truncated"),
        (header(entries=HUGE), "metadata entries"),
        (header(tensors=HUGE), "tensors"),
        (header(entries=1) + struct.pack("<Q", HUGE), "truncated"),
        (header(entries=1) + entry(b"k", 8, struct.pack("<Q", 2**40)), "truncated"),
        (header(entries=1) + entry(b"k", 99, b""), "unknown type 99"),
        (header(entries=1) + entry(b"k", 9, struct.pack("<IQ", 9, 1)), "unknown type 9"),
        (header(entries=1) + entry(b"k", 9, struct.pack("<IQ", 8, HUGE)), "array of"),
        (header(entries=1) + entry(b"k", 9, struct.pack("<IQ", 8, 2_000_000)), "truncated"),
        (header(entries=1) + entry(b"k", 9, struct.pack("<IQQ", 8, 2000, HUGE)), "truncated"),
        (header(entries=1) + entry(b"k", 9, struct.pack("<IQ", 4, 2_000_000)), "truncated"),
        (header(entries=1) + entry(ALIGNMENT, 4, struct.pack("<I", 0)), "alignment"),
        (header(entries=1) + entry(ALIGNMENT, 4, struct.pack("<I", 33)), "alignment"),
        (header(entries=1) + entry(ALIGNMENT, 8, text(b"x")), "alignment"),
        (header(tensors=1) + tensor(b"t", [1] * 5, 0, 0), "5 dimensions"),
        (header(tensors=1) + text(b"t") + struct.pack("<I", 2**32 - 1), "dimensions"),
        (header(tensors=1) + tensor(b"t", [2**32, 2**32], 0, 0), "overflows"),
        (header(tensors=2) + tensor(b"t", [2**62], 99, 0) * 2 + bytes(64), "overflows"),
        (header(tensors=1) + tensor(b"t", [2**40], 0, 0), "tensor 't' ends at byte"),
        (header(tensors=1) + tensor(b"t", [1], 0, HUGE), "tensor 't' ends at byte"),
        (header(tensors=1) + tensor(b"t", [33], 8, 0), "not a multiple of 32"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said(path: Path, content: bytes, reason: str) -> None:
    for verbose in (False, True):
        with pytest.raises(LoadFailed, match=reason) as caught:
            read(path, content, verbose=verbose)
        assert str(path) in str(caught.value)


def test_a_missing_file_and_a_folder_are_load_failures(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(LoadFailed, match=str(path)):
            read_metadata(path)


def test_a_header_beyond_all_reason_is_refused_without_reading_it(path: Path) -> None:
    with open(path, "wb") as file:
        file.write(header(entries=1) + entry(b"k", 8, struct.pack("<Q", 2**33)))
        file.truncate(2**34)  # A hole: it takes no disk.
    with pytest.raises(LoadFailed, match="header is longer than 64 MiB"):
        read_metadata(path)


def test_a_model_cut_anywhere_is_refused(path: Path) -> None:
    embedding_model(path)
    whole = path.read_bytes()
    assert read_metadata(path).parameter_count > 0
    for cut in [*range(0, 2000, 37), *range(2000, len(whole), 2999), len(whole) - 32]:
        with pytest.raises(LoadFailed, match="truncated"):
            read(path, whole[:cut])


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "small.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_token_list(["a", "bc", "def"])
    writer.add_token_scores([0.0, 1.0, 2.0])
    writer.add_tensor("t", np.zeros((2, 4), np.float32))
    finish(writer)
    return path.read_bytes()


@settings(
    max_examples=300,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(data=st.data(), verbose=st.booleans())
def test_damage_never_does_worse_than_fail(
    path: Path, small: bytes, data: st.DataObject, verbose: bool
) -> None:
    damaged = bytearray(small)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damage = data.draw(st.binary(min_size=1, max_size=8) | st.just(b"\xff" * 8) | st.just(b"\0" * 8))
        damaged[at : at + len(damage)] = damage
    try:
        metadata = read(path, bytes(damaged), verbose=verbose)
    except LoadFailed:
        return
    assert 0 <= metadata.parameter_count < 2**63
    assert all(found.offset + found.size <= len(damaged) for found in metadata.tensors)


@settings(
    max_examples=200,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(tensors=st.integers(0, 2**64 - 1), entries=st.integers(0, 2**64 - 1), rest=st.binary(max_size=200))
def test_noise_after_the_magic_never_does_worse_than_fail(
    path: Path, tensors: int, entries: int, rest: bytes
) -> None:
    for counts in ((tensors, entries), (tensors % 4, entries % 4)):
        with suppress(LoadFailed):
            read(path, header(3, *counts) + rest)


LIES = st.sampled_from([0, 1, 7, 1023, 1025, 65_536, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1])
COUNTS = st.integers(0, 40) | LIES


@st.composite
def values(draw: st.DrawFn) -> bytes:
    """A type and a value of it, whose lengths may lie; arrays may hold arrays."""
    kind = draw(st.integers(0, 13) | st.just(2**32 - 1))
    if kind == 8:
        return struct.pack("<IQ", kind, draw(COUNTS)) + draw(st.binary(max_size=40))
    if kind == 9:
        inner = draw(st.sampled_from([0, 4, 8, 9, 12]) | st.integers(0, 2**32 - 1))
        return struct.pack("<IIQ", kind, inner, draw(COUNTS)) + draw(st.binary(max_size=60) | values())
    return struct.pack("<I", kind) + draw(st.binary(min_size=1, max_size=8))


@st.composite
def headers(draw: st.DrawFn) -> bytes:
    keys = st.sampled_from([b"general.architecture", ALIGNMENT, b"k", b"\xff", b""])
    entries = draw(st.lists(st.tuples(keys, values()), max_size=5))
    shapes = st.lists(st.integers(0, 300) | LIES, max_size=6)
    tensors = draw(st.lists(st.tuples(keys, shapes, st.integers(0, 45), COUNTS), max_size=4))
    content = header(3, draw(st.just(len(tensors)) | LIES), draw(st.just(len(entries)) | LIES))
    content += b"".join(text(key) + value for key, value in entries)
    content += b"".join(tensor(*parts) for parts in tensors)
    return content + bytes(draw(st.integers(0, 200)))


@settings(
    max_examples=500,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
@given(content=headers(), verbose=st.booleans())
def test_counts_offsets_and_lengths_that_lie_never_do_worse_than_fail(
    path: Path, content: bytes, verbose: bool
) -> None:
    try:
        metadata = read(path, content, verbose=verbose)
    except LoadFailed:
        return
    assert all(found.offset + found.size <= len(content) for found in metadata.tensors)


ASTRAL = "\U0001f600".encode()
GREEDY: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "texts": (1, lambda _: entry(b"k", 9, struct.pack("<IQ", 8, 2_999_000) + text("é".encode()) * 2_999_000)),
    "long texts": (4, lambda number: entry(b"%d" % number, 8, text(ASTRAL + b"x" * (15 << 20)))),
    "one text": (1, lambda _: entry(b"k", 8, text(ASTRAL + b"x" * (60 << 20)))),
    "numbers": (1, lambda _: entry(b"k", 9, struct.pack("<IQ", 10, 2_999_000) + b"\xab" * 8 * 2_999_000)),
    "arrays": (2_900, lambda _: entry(b"k", 9, struct.pack("<IQ", 12, 1000) + b"\xab" * 8000)),
    "names": (1000, lambda number: entry(ASTRAL + b"%d" % number + b"x" * 65_000, 0, b"0")),
}
"""How many entries a header has, and each of them."""
READ = """
import pathlib, re, sys
from puna.gguf import read_metadata
from puna.errors import LoadFailed
try:
    read_metadata(pathlib.Path(sys.argv[1]), verbose=sys.argv[2] == "True")
except LoadFailed as error:
    print(error)
print(re.search(r"VmHWM:\\s+(\\d+) kB", pathlib.Path("/proc/self/status").read_text())[1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="asks /proc for the memory")
@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("greed", GREEDY)
def test_no_header_takes_more_than_256_mib(path: Path, greed: str, verbose: bool) -> None:
    count, make = GREEDY[greed]
    with open(path, "wb") as file:
        file.write(header(entries=count))
        for number in range(count):
            file.write(make(number))
    command = [sys.executable, "-c", READ, str(path), str(verbose)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[-1]) < 256 * 1024
