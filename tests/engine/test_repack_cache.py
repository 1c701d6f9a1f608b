"""Packed weights on disk: a second load maps them; whatever happens to the file, answers stay the same."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from gguf import GGMLQuantizationType as Quantisation

from puna.engine.libllama.kernels import start_kernels
from puna.gguf import read_metadata
from tests.engine.asking import Answer, ask, loaded
from tests.models import shape_model

pytestmark = pytest.mark.skipif(
    "q8_0" not in start_kernels(), reason="no kernel packs weights on this processor"
)

LIMIT = 1 << 30


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("repack") / "model.gguf"
    shape_model(path, width=1024, ffn=4096, heads=8, kv_heads=8, layers=4, quantisation=Quantisation.Q8_0)
    return path


async def answer(model: Path, folder: Path, *, waits: bool = True, **fields: Any) -> Answer:
    """What an engine answers; it ends when the folder has a whole file, or at once."""
    async with loaded(model, **({"repack": str(folder), "repack_limit": LIMIT} | fields)) as engine:
        found = await ask(engine, "Why is the sky blue?", num_predict=8, logprobs=2)
        while waits and not whole(folder):
            await asyncio.sleep(0.05)
        return found


def whole(folder: Path) -> list[Path]:
    """The cache's files, if none is being written."""
    found = sorted(folder.glob("*")) if folder.is_dir() else []
    return found if all(file.suffix == ".packed" for file in found) else []


def same(one: Answer, other: Answer) -> bool:
    return (one.pieces, one.logprobs) == (other.pieces, other.logprobs)


@pytest.fixture(scope="module")
def first(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Answer, Path]:
    """A first load's answer, and the file that it left."""
    folder = tmp_path_factory.mktemp("first") / "packed"
    found = asyncio.run(answer(model, folder))
    return found, whole(folder)[0]


@pytest.fixture
def folder(first: tuple[Answer, Path], tmp_path: Path) -> Path:
    """A folder with a copy of that file."""
    (tmp_path / "packed").mkdir()
    shutil.copy(first[1], tmp_path / "packed")
    return tmp_path / "packed"


async def test_a_second_load_reads_the_packed_file_instead_of_the_models(
    model: Path, first: tuple[Answer, Path], folder: Path
) -> None:
    before, times = model.read_bytes(), model.stat()
    try:
        tensors = read_metadata(model).tensors
        packed = next(tensor for tensor in tensors if tensor.name == "blk.2.ffn_up.weight")
        end = max(tensor.offset + tensor.size for tensor in tensors)
        with model.open("r+b") as file:
            file.seek(len(before) - end + packed.offset)
            file.write(bytes(packed.size))
        os.utime(model, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert same(await answer(model, folder), first[0])
    finally:
        model.write_bytes(before)
        os.utime(model, ns=(times.st_atime_ns, times.st_mtime_ns))


async def test_another_models_weights_are_never_used(
    model: Path, first: tuple[Answer, Path], folder: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.gguf"
    shape_model(
        other, width=1024, ffn=4096, heads=8, kv_heads=8, layers=4, quantisation=Quantisation.Q8_0, seed=1
    )
    alone = await answer(other, tmp_path / "none", waits=False, repack="")
    assert same(await answer(other, folder, waits=False), alone)
    assert not same(alone, first[0])


def truncated(data: bytes) -> bytes:
    return data[:-4096]


def renamed_tensor(data: bytes) -> bytes:
    return data.replace(b"blk.0.attn_q.weight", b"blk.9.attn_q.weight", 1)


def nothing(data: bytes) -> bytes:
    return b""


def foreign(data: bytes) -> bytes:
    return b"GGUF" + data[4:]


def counting_far(data: bytes) -> bytes:
    return data[:8] + b"\xff" * 8 + data[16:]


@pytest.mark.parametrize("damage", [truncated, renamed_tensor, nothing, foreign, counting_far])
async def test_a_damaged_file_is_replaced(
    model: Path, first: tuple[Answer, Path], folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    (file,) = whole(folder)
    good = file.read_bytes()
    file.write_bytes(damage(good))
    async with loaded(model, repack=str(folder), repack_limit=LIMIT) as engine:
        assert same(await ask(engine, "Why is the sky blue?", num_predict=8, logprobs=2), first[0])
        while not (whole(folder) and file.read_bytes() == good):
            await asyncio.sleep(0.05)


async def test_the_files_may_go_at_any_time(model: Path, first: tuple[Answer, Path], folder: Path) -> None:
    async with loaded(model, repack=str(folder), repack_limit=LIMIT) as engine:
        shutil.rmtree(folder)
        assert same(await ask(engine, "Why is the sky blue?", num_predict=8, logprobs=2), first[0])


async def test_two_engines_use_one_file(model: Path, first: tuple[Answer, Path], folder: Path) -> None:
    answers = await asyncio.gather(answer(model, folder), answer(model, folder))
    assert all(same(each, first[0]) for each in answers)
    assert len(whole(folder)) == 1


async def test_the_least_recently_used_file_makes_room(
    model: Path, first: tuple[Answer, Path], folder: Path
) -> None:
    (file,) = whole(folder)
    size = file.stat().st_size
    older, newer = (folder / f"{name}.packed" for name in ("older", "newer"))
    for age, path in enumerate((newer, older)):
        path.write_bytes(bytes(size))
        os.utime(path, (1e9 - age, 1e9 - age))
    file.unlink()
    async with loaded(model, repack=str(folder), repack_limit=5 * size // 2):
        while not file.exists():
            await asyncio.sleep(0.05)
    assert whole(folder) == sorted([file, newer])


async def test_the_file_of_a_deleted_model_goes(model: Path, tmp_path: Path) -> None:
    """Not one of another store in the same folder."""
    packed = tmp_path / "packed"

    async def load(store: str, digit: str) -> Path:
        blob = tmp_path / store / f"sha256-{digit * 64}"
        blob.parent.mkdir(exist_ok=True)
        blob.hardlink_to(model)
        before = set(whole(packed))
        async with loaded(blob, repack=str(packed), repack_limit=LIMIT):
            while not (made := set(whole(packed)) - before):
                await asyncio.sleep(0.05)
        return made.pop()

    first, other = await load("blobs", "a"), await load("others", "b")
    (tmp_path / "blobs" / f"sha256-{'a' * 64}").unlink()
    last = await load("blobs", "c")
    assert whole(packed) == sorted([other, last])
    assert first.name.startswith(f"sha256-{'a' * 64}")


async def test_a_disk_that_takes_no_more_leaves_no_trace(
    model: Path, first: tuple[Answer, Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    async with loaded(model, repack=str(tmp_path / "packed"), repack_limit=LIMIT) as engine:
        psutil.Process(engine.pid).rlimit(psutil.RLIMIT_FSIZE, (1 << 20, 1 << 20))
        said = ""
        while "repack cache" not in said:
            await asyncio.sleep(0.05)
            said += capfd.readouterr().err
        assert same(await ask(engine, "Why is the sky blue?", num_predict=8, logprobs=2), first[0])
    assert not [*(tmp_path / "packed").iterdir()]


async def test_a_limit_below_the_weights_keeps_none(
    model: Path, first: tuple[Answer, Path], tmp_path: Path
) -> None:
    found = await answer(model, tmp_path / "packed", waits=False, repack_limit=1 << 20)
    assert same(found, first[0])
    assert not whole(tmp_path / "packed")
