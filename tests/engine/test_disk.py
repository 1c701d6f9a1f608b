"""What an engine has evaluated is there for the model's next one, and only for one that can use it."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from weakref import ReferenceType, ref

import numpy as np
import psutil
import pytest

from puna.engine import EngineProcess
from puna.engine.memory.disk_room import make_room
from puna.engine.memory.prefix_file import Contents, Header, count_use
from puna.engine.memory.segment_file import File
from puna.engine.memory.segment_writer import SegmentWriter
from puna.types import Image
from tests.engine.asking import Answer, ask, loaded
from tests.engine.test_vision import CAT, DOG, SIGHT
from tests.vision_models import ROWS, gemma3_model, qwen3vl_model, vision_model

PROMPT = "You are a careful assistant who answers in short sentences. " * 6


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


async def written(folder: Path, count: int = 1) -> list[Path]:
    """The files of the cache, once there are `count`."""
    while len(found := files(folder)) < count or any(file.suffix != ".kv" for file in found):
        await asyncio.sleep(0.05)
    return found


async def asked(path: Path, folder: Path, prompt: str = PROMPT, **more: Any) -> Answer:
    """An answer of an engine that ends right behind it."""
    async with loaded(path, disk=folder, **more) as engine:
        return await ask(engine, prompt, num_predict=8, logprobs=2)


async def test_every_kind_of_memory_outlives_its_engine(path: Path, tmp_path: Path) -> None:
    first = await asked(path, tmp_path)
    again = await asked(path, tmp_path)
    assert again.finish.cached_tokens == again.finish.prompt_tokens
    assert again.agrees(first)
    async with loaded(path, disk=tmp_path) as engine:
        turn = first.finish.tokens + await engine.tokenize(" And then?", add_bos=False)
        after = await ask(engine, turn, num_predict=8, logprobs=2)
        assert after.finish.cached_tokens == len(first.finish.tokens) - 1
        other = await ask(engine, PROMPT[:-20] + "but tells stories", num_predict=8, logprobs=2)
        assert other.finish.prompt_tokens - other.finish.cached_tokens <= 130
    async with loaded(path) as engine:
        assert after.agrees(await ask(engine, turn, num_predict=8, logprobs=2))
        assert other.agrees(await ask(engine, PROMPT[:-20] + "but tells stories", num_predict=8, logprobs=2))


async def test_a_killed_engine_has_written_what_it_did_before_its_pause(path: Path, tmp_path: Path) -> None:
    async with loaded(path, disk=tmp_path) as engine:
        first = await ask(engine, PROMPT, num_predict=8, logprobs=2)
        await written(tmp_path)
        await engine.kill()
    again = await asked(path, tmp_path)
    assert again.finish.cached_tokens == again.finish.prompt_tokens
    assert again.agrees(first)


async def test_a_turn_writes_what_is_new(path: Path, tmp_path: Path) -> None:
    """The sixth turn writes no more than the fourth, and what there is gives all of them back."""
    context: list[int] = []
    wrote: list[int] = []
    answers: list[Answer] = []
    async with loaded(path, num_ctx=4096, disk=tmp_path) as engine:
        for number in range(6):
            question = await engine.tokenize(f"{PROMPT} Question {number}?", add_bos=not context)
            before = {file: file.stat().st_ino for file in files(tmp_path)}
            answers.append(await ask(engine, context + question, num_predict=8, logprobs=2))
            context = answers[-1].finish.tokens
            while all(file in before for file in await written(tmp_path)):
                await asyncio.sleep(0.05)
            wrote.append(sum(f.stat().st_size for f in files(tmp_path) if before.get(f) != f.stat().st_ino))
        for file in files(tmp_path):
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert wrote[5] <= 1.1 * wrote[3]
    async with loaded(path, num_ctx=4096, disk=tmp_path) as engine:
        again = await ask(engine, context[: answers[-1].finish.prompt_tokens], num_predict=8, logprobs=2)
        assert again.finish.cached_tokens == again.finish.prompt_tokens
        assert again.agrees(answers[-1])


async def test_conversations_with_the_same_head_write_it_once(shaped: Path, tmp_path: Path) -> None:
    sizes: list[int] = []
    async with loaded(shaped, num_ctx=2048, disk=tmp_path) as engine:
        for number in range(3):
            await ask(engine, f"{PROMPT * 3}{number} is the question", num_predict=8)
            sizes += [file.stat().st_size for file in await written(tmp_path, number + 1)]
    assert sum(sizes[-3:]) < 1.5 * sizes[0]


async def test_others_go_on_while_a_file_is_read(shaped: Path, tmp_path: Path) -> None:
    """The file comes from somebody who takes a long time, and in the end gives nothing."""
    first = await asked(shaped, tmp_path)
    (file,) = files(tmp_path)
    async with loaded(shaped, disk=tmp_path) as engine:
        file.unlink()
        os.mkfifo(file)
        waiting = asyncio.create_task(ask(engine, PROMPT, num_predict=8, logprobs=2))
        for number in range(3):
            assert (await ask(engine, f"{number}" * 50, num_predict=20)).finish.eval_tokens == 20
        assert not waiting.done()
        await asyncio.to_thread(file.write_bytes, b"")
        assert (await waiting).agrees(first)


async def test_pictures_are_encoded_while_a_file_is_read(tmp_path: Path) -> None:
    model, projector = vision_model(tmp_path)
    folder = tmp_path / "cache"
    first = await asked(model, folder, projector=projector)
    (file,) = files(folder)
    async with loaded(model, disk=folder, projector=projector) as engine:
        file.unlink()
        os.mkfifo(file)
        waiting = asyncio.create_task(ask(engine, PROMPT, num_predict=8, logprobs=2))
        two = ask(engine, SIGHT * 2, media=(CAT, DOG), num_predict=2)
        assert (await asyncio.wait_for(two, 60)).finish.encoded == 2
        assert not waiting.done()
        await asyncio.to_thread(file.write_bytes, b"")
        assert (await waiting).agrees(first)


async def test_an_engine_that_loses_a_sequence_has_it_on_disk(shaped: Path, tmp_path: Path) -> None:
    """Neither the pool nor the memory beside it has room for all of these."""
    async with loaded(shaped, num_ctx=256, pool=512, cache=300 << 10, disk=tmp_path) as engine:
        prompts = [f"{n}" * 200 for n in range(6)]
        answers = [await ask(engine, prompt, num_predict=20, logprobs=2) for prompt in prompts]
        again = [await ask(engine, prompt, num_predict=20, logprobs=2) for prompt in prompts]
    assert all(answer.finish.cached_tokens == answer.finish.prompt_tokens for answer in again)
    assert all(one.agrees(other) for one, other in zip(answers, again, strict=True))


async def test_owners_do_not_find_one_anothers_files(shaped: Path, tmp_path: Path) -> None:
    async with loaded(shaped, disk=tmp_path) as engine:
        await ask(engine, PROMPT, num_predict=5, owner="key ann-7d1")
    for file in files(tmp_path):
        assert b"ann-7d1" not in file.read_bytes() + str(file).encode()
    async with loaded(shaped, disk=tmp_path) as engine:
        for other in ("", "key bob-3f4"):
            assert (await ask(engine, PROMPT, num_predict=5, owner=other)).finish.cached_tokens == 0
        hers = await ask(engine, PROMPT, num_predict=5, owner="key ann-7d1")
        assert hers.finish.cached_tokens == hers.finish.prompt_tokens


def flip(at: int) -> Callable[[bytes], bytes]:
    return lambda data: (
        data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if at >= 0 else flip(len(data) + at)(data)
    )


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "a byte of its numbers": flip(-1000),
    "its last byte": flip(-1),
    "its first byte": flip(0),
    "its version": flip(8),
    "its header": flip(60),
    "the half of it": lambda data: data[: len(data) // 2],
    "a byte less": lambda data: data[:-1],
    "a byte more": lambda data: data + b"\0",
    "nothing": lambda data: b"",
    "something else": lambda data: b"GGUF" + bytes(5000),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damaged_file_is_deleted_and_told_of_once(
    shaped: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], damage: str
) -> None:
    first = await asked(shaped, tmp_path)
    (file,) = files(tmp_path)
    file.write_bytes(DAMAGES[damage](file.read_bytes()))
    capfd.readouterr()
    async with loaded(shaped, disk=tmp_path) as engine:
        again = await ask(engine, PROMPT, num_predict=8, logprobs=2)
        assert again.finish.cached_tokens == 0
        assert again.agrees(first)
        await ask(engine, PROMPT, num_predict=8)
    told = [line for line in capfd.readouterr().err.splitlines() if file.name in line]
    assert len(told) == 1
    again = await asked(shaped, tmp_path)
    assert again.finish.cached_tokens == again.finish.prompt_tokens


@pytest.mark.parametrize("loss", ["damaged", "deleted"])
async def test_what_builds_on_a_lost_file_goes_with_it(shaped: Path, tmp_path: Path, loss: str) -> None:
    async with loaded(shaped, num_ctx=2048, disk=tmp_path) as engine:
        first = await ask(engine, PROMPT, num_predict=8)
        (begin,) = await written(tmp_path)
        turn = first.finish.tokens + await engine.tokenize(PROMPT, add_bos=False)
        second = await ask(engine, turn, num_predict=8, logprobs=2)
        lost = await written(tmp_path, 2)
    if loss == "damaged":
        begin.write_bytes(DAMAGES["a byte of its numbers"](begin.read_bytes()))
    else:
        begin.unlink()
    async with loaded(shaped, num_ctx=2048, disk=tmp_path) as engine:
        again = await ask(engine, turn, num_predict=8, logprobs=2)
        assert again.finish.cached_tokens == 0
        assert again.agrees(second)
        assert not any(file.exists() for file in lost)


async def test_a_file_that_is_damaged_while_an_engine_runs(shaped: Path, tmp_path: Path) -> None:
    await asked(shaped, tmp_path)
    async with loaded(shaped, disk=tmp_path) as engine:
        (file,) = files(tmp_path)
        with file.open("r+b") as opened:
            opened.truncate(file.stat().st_size // 2)
        assert (await ask(engine, PROMPT, num_predict=8)).finish.cached_tokens == 0
        await written(tmp_path)
        shutil.rmtree(file.parent)
        assert (await ask(engine, "x" + PROMPT, num_predict=8)).finish.eval_tokens == 8


async def test_an_emptied_file_ends_no_engine(shaped: Path, tmp_path: Path) -> None:
    """The next turn's file, whose parent it is, counts a use of it."""
    async with loaded(shaped, num_ctx=2048, disk=tmp_path) as engine:
        first = await ask(engine, PROMPT, num_predict=8)
        (begin,) = await written(tmp_path)
        begin.write_bytes(b"")
        turn = first.finish.tokens + await engine.tokenize(PROMPT, add_bos=False)
        await ask(engine, turn, num_predict=8)
        await written(tmp_path, 2)
        assert (await ask(engine, PROMPT, num_predict=8)).finish.eval_tokens == 8


def test_the_writer_forgets_what_it_has_written(tmp_path: Path) -> None:
    writing = SegmentWriter(tmp_path, 1 << 20)
    files: list[ReferenceType[File]] = []
    for number in range(3):
        contents = Contents(np.full(100, number, np.uint8))
        header = Header(
            model="",
            owner="",
            parent="",
            begin=0,
            tokens=b"",
            prompt_tokens=0,
            saved=100,
            snapshots=(),
            logits=0,
        )
        file = File(tmp_path / f"{number}.kv", None, False, (), contents)
        files.append(ref(file))
        writing.write(file, header, ())
        writing.close()
        del file
    assert [file() is None for file in files] == [True, True, False]


@pytest.mark.parametrize("change", ["model", "projector", "kv_cache_type", "flash_attention", "devices"])
async def test_what_was_made_otherwise_is_not_found(tmp_path: Path, change: str) -> None:
    model, projector = vision_model(tmp_path)
    disk, more = tmp_path / "disk", dict[str, Any](projector=projector)
    first = await asked(model, disk, **more)
    (file,) = files(disk)
    if change == "model":
        data = bytearray(model.read_bytes())
        data[-1] ^= 1
        (model := tmp_path / "other.gguf").write_bytes(data)
    elif change == "projector":
        more["projector"] = shutil.copy(projector, tmp_path / "copy.gguf")
    else:
        more |= {
            "kv_cache_type": {"kv_cache_type": "bf16"},
            "flash_attention": {"flash_attention": True},
        }.get(change, {})
    other = await asked(model, disk, **more)
    assert other.finish.cached_tokens == (first.finish.prompt_tokens if change == "devices" else 0)
    # Put where another kind of numbers is looked for, a file is refused by what it says of itself.
    strange = next((known for known in files(disk) if known != file), file)
    if strange != file:
        shutil.copy(file, strange)
        assert (await asked(model, disk, **more)).finish.cached_tokens == 0


async def test_pictures_are_known_again(tmp_path: Path) -> None:
    model, projector = vision_model(tmp_path)
    disk = tmp_path / "disk"

    async def look(engine: EngineProcess, image: Any) -> Answer:
        return await ask(engine, f"What is {SIGHT} here?", media=(image,), num_predict=4, logprobs=2)

    async with loaded(model, projector=projector, disk=disk) as engine:
        first = await look(engine, CAT)
    async with loaded(model, projector=projector, disk=disk) as engine:
        other = await look(engine, DOG)
        assert other.finish.cached_tokens < ROWS
        again = await look(engine, CAT)
        assert again.finish.cached_tokens == again.finish.prompt_tokens
        assert again.finish.encoded == 0
        assert again.agrees(first)


@pytest.mark.parametrize("make", [gemma3_model, qwen3vl_model])
async def test_segments_meet_where_pictures_are(
    tmp_path: Path, make: Callable[[Path], tuple[Path, Path]]
) -> None:
    """Behind a window, and with positions in two dimensions: the second turn goes on within a segment."""
    model, projector = make(tmp_path)
    disk, turn, images, held = tmp_path / "disk", "", list[Image](), 0
    more = dict[str, Any](projector=projector, num_ctx=2048)
    async with loaded(model, disk=disk, **more) as engine:
        for number, image in enumerate((CAT, DOG)):
            turn += f"{PROMPT[:270]}{SIGHT} Question {number}?"
            images.append(image)
            held = (await ask(engine, turn, media=tuple(images), num_predict=4)).finish.prompt_tokens
            await written(disk, number + 1)
    ends = [f"{turn}{PROMPT[:90]}", f"{turn.removesuffix(' Question 1?')} And this?"]
    async with loaded(model, disk=disk, **more) as engine, loaded(model, **more) as alone:
        for end in ends:
            found = await ask(engine, end, media=tuple(images), num_predict=4, logprobs=2)
            anew = await ask(alone, end, media=tuple(images), num_predict=4, logprobs=2)
            assert found.finish.cached_tokens > 0.9 * held
            assert found.agrees(anew)


async def test_files_of_least_worth_go_first(shaped: Path, tmp_path: Path) -> None:
    prompts = [f"{n}" * 200 for n in range(5)]
    for prompt in prompts[:2]:
        await asked(shaped, tmp_path, prompt)
    size = max(file.stat().st_size for file in files(tmp_path))
    await asked(shaped, tmp_path, prompts[0])  # its second use
    for prompt in prompts[2:]:
        await asked(shaped, tmp_path, prompt, disk_limit=2 * size + size // 2)
    assert len(files(tmp_path)) == 2
    for prompt, kept in zip(prompts, [True, False, False, False, True], strict=True):
        answer = await asked(shaped, tmp_path, prompt, disk_limit=1)
        assert (answer.finish.cached_tokens > 0) == kept, prompt


async def test_what_others_build_on_goes_behind_them(shaped: Path, tmp_path: Path) -> None:
    """A conversation's last turn goes first, however much it saves, and another's only file goes before."""
    async with loaded(shaped, num_ctx=2048, disk=tmp_path) as engine:
        first = await ask(engine, PROMPT, num_predict=8)
        (begin,) = await written(tmp_path)
        turn = first.finish.tokens + await engine.tokenize(PROMPT, add_bos=False)
        await ask(engine, turn, num_predict=8)
        (end,) = set(await written(tmp_path, 2)) - {begin}
    for _ in range(9):
        count_use(end)
    assert make_room(end.parent.parent, 1, begin.stat().st_size + 1)
    assert files(tmp_path) == [begin]


async def test_what_fits_nowhere_costs_no_rest(shaped: Path, tmp_path: Path) -> None:
    """Neither memory nor disk takes it: the engine does not go on trying."""
    async with loaded(shaped, cache=0, disk=tmp_path, disk_limit=1) as engine:
        await ask(engine, PROMPT, num_predict=5)
        await asyncio.sleep(2.5)
        before = psutil.Process(engine.pid).cpu_times().user
        await asyncio.sleep(1)
        assert psutil.Process(engine.pid).cpu_times().user - before < 0.2
    assert files(tmp_path) == []


async def test_two_engines_of_a_model_share_a_folder(shaped: Path, tmp_path: Path) -> None:
    async with loaded(shaped, disk=tmp_path) as one, loaded(shaped, disk=tmp_path) as other:
        await asyncio.gather(*(ask(engine, PROMPT, num_predict=8) for engine in (one, other)))
        await ask(other, PROMPT[::-1], num_predict=8)
    assert len(files(tmp_path)) == 2
    for prompt in (PROMPT, PROMPT[::-1]):
        again = await asked(shaped, tmp_path, prompt)
        assert again.finish.cached_tokens == again.finish.prompt_tokens


async def test_other_files_in_the_folder_are_left_alone(shaped: Path, tmp_path: Path) -> None:
    other = tmp_path / "letters" / "one.kv"
    other.parent.mkdir()
    other.write_bytes(b"Dear Ann")
    await asked(shaped, tmp_path, disk_limit=1 << 20)
    assert other.read_bytes() == b"Dear Ann"
