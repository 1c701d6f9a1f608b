"""Answers of real models through a real engine process."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import jsonschema
import pytest

from puna.engine import start
from puna.errors import BadRequest, EngineGone, LoadFailed, PromptTooLong
from puna.load import LoadSpec
from puna.types import Begun, Delta
from tests.engine.asking import ask, job, loaded, schema
from tests.models import scripted_model

SCRIPT = "The quick brown fox jumps over the lazy dog."


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "scripted.gguf"
    scripted_model(path, SCRIPT)
    return path


async def test_a_script_comes_out_word_by_word(scripted: Path) -> None:
    async with loaded(scripted) as engine:
        answer = await ask(engine, "Hello")
        assert answer.text == SCRIPT
        assert len(answer.pieces) == 9
        assert answer.finish.reason == "stop"
        assert answer.finish.eval_tokens == 10  # nine words and the end token
        assert await engine.detokenize(answer.finish.tokens[-10:-1]) == SCRIPT


async def test_stop_strings_end_the_answer_and_are_not_shown(scripted: Path) -> None:
    async with loaded(scripted) as engine:
        assert (await ask(engine, "x", stop=("brown",))).text == "The quick "
        across = await ask(engine, "x", stop=("fox jum",))
        assert across.text == "The quick brown "
        assert across.finish.reason == "stop"
        assert (await ask(engine, "x", stop=("", "nothing like it"))).text == SCRIPT


async def test_num_predict_cuts_the_answer(scripted: Path) -> None:
    async with loaded(scripted) as engine:
        answer = await ask(engine, "x", num_predict=3)
        assert answer.text == "The quick brown"
        assert (answer.finish.reason, answer.finish.eval_tokens) == ("length", 3)


async def test_characters_split_over_tokens_stay_whole(tmp_path: Path) -> None:
    script = "好".encode() + "👍🏽".encode()
    scripted_model(tmp_path / "m.gguf", [bytes([b]) for b in script])
    async with loaded(tmp_path / "m.gguf") as engine:
        answer = await ask(engine, "x")
        assert answer.pieces == ["好", "👍", "🏽"]
        assert (await ask(engine, "x", num_predict=2)).text == ""


async def test_the_same_seed_gives_the_same_text(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        once = await ask(engine, "Once upon", temperature=1.0, seed=7, num_predict=40)
        again = await ask(engine, "Once upon", temperature=1.0, seed=7, num_predict=40)
        other = await ask(engine, "Once upon", temperature=1.0, seed=8, num_predict=40)
        assert once.finish.tokens == again.finish.tokens
        assert once.finish.tokens != other.finish.tokens
    async with loaded(shaped) as engine:
        fresh = await ask(engine, "Once upon", temperature=1.0, seed=7, num_predict=40)
        assert fresh.finish.tokens == once.finish.tokens


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 1},
        {"top_k": 0, "top_p": 0.0001},
        {"top_k": 0, "min_p": 0.9999},
    ],
)
async def test_options_that_leave_one_candidate_equal_greedy(shaped: Path, options: dict[str, float]) -> None:
    async with loaded(shaped) as engine:
        greedy = await ask(engine, "abc", num_predict=16)
        held = await ask(engine, "abc", num_predict=16, temperature=1.0, seed=1, **options)
        assert held.finish.tokens == greedy.finish.tokens


@pytest.mark.parametrize("options", [{"typical_p": 0.2}, {"mirostat": 1}, {"mirostat": 2}])
async def test_options_change_what_is_drawn(shaped: Path, options: dict[str, float]) -> None:
    async with loaded(shaped) as engine:
        plain = await ask(engine, "abc", num_predict=32, temperature=1.0, seed=1, top_k=0, top_p=1.0)
        other = await ask(
            engine, "abc", num_predict=32, temperature=1.0, seed=1, top_k=0, top_p=1.0, **options
        )
        assert other.finish.tokens != plain.finish.tokens


@pytest.mark.parametrize("penalty", ["presence_penalty", "frequency_penalty"])
async def test_a_penalty_breaks_a_loop(tmp_path: Path, penalty: str) -> None:
    scripted_model(tmp_path / "loop.gguf", "la la la", endless=True)
    async with loaded(tmp_path / "loop.gguf") as engine:
        free = await ask(engine, "x", num_predict=12)
        held = await ask(engine, "x", num_predict=12, repeat_last_n=-1, **{penalty: 1000.0})
        assert len(set(free.finish.tokens[2:])) == 5
        assert len(set(held.finish.tokens[2:])) == len(held.finish.tokens[2:]) > 5


async def test_a_repeat_penalty_changes_the_text(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        free = await ask(engine, "aaaa", num_predict=60)
        held = await ask(engine, "aaaa", num_predict=60, repeat_penalty=10.0)
        assert held.finish.tokens != free.finish.tokens
        answered = held.finish.tokens[-60:]
        assert len(set(answered)) > len(set(free.finish.tokens[-60:]))


async def test_a_prompt_longer_than_the_context(shaped: Path) -> None:
    async with loaded(shaped, num_ctx=64) as engine:
        cut = await ask(engine, "a" * 500, num_predict=4)
        assert cut.finish.prompt_tokens < 64
        for forbidden in ({"truncate": False}, {"shift": False}):
            for length in (500, 50_000):
                with pytest.raises(PromptTooLong, match="exceeds the context length") as refused:
                    await ask(engine, "a" * length, **forbidden)
                assert refused.value.limit == 63
                assert length <= refused.value.tokens <= 1.1 * length
        assert (await ask(engine, "still alive", num_predict=2)).finish.eval_tokens == 2


async def test_a_full_context_shifts_or_ends(shaped: Path) -> None:
    async with loaded(shaped, num_ctx=64) as engine:
        ended = await ask(engine, "begin", shift=False)
        assert ended.finish.reason == "length"
        assert len(ended.finish.tokens) == 64
        until_full = await ask(engine, "begin", num_predict=-2)
        assert len(until_full.finish.tokens) == 64
        shifted = await ask(engine, "begin", num_predict=200)
        assert shifted.finish.eval_tokens == 200
        assert shifted.finish.tokens[:64] == ended.finish.tokens
        unlimited = await ask(engine, "begin")
        assert unlimited.finish.eval_tokens == 640


async def test_a_smaller_context_for_one_request(shaped: Path) -> None:
    async with loaded(shaped, num_ctx=256) as engine:
        answer = await ask(engine, "begin", num_ctx=32, shift=False)
        assert len(answer.finish.tokens) == 32


async def test_an_abandoned_answer_frees_its_place(shaped: Path) -> None:
    async with loaded(shaped, num_ctx=128, parallel=1) as engine:
        endless = engine.generate(job("first", num_predict=100_000))
        assert isinstance(await anext(endless), Begun)
        assert isinstance(await anext(endless), Delta)
        await endless.aclose()  # type: ignore[attr-defined]
        assert (await ask(engine, "second", num_predict=3)).finish.eval_tokens == 3


async def test_abandoning_a_request_that_still_waits(shaped: Path) -> None:
    async with loaded(shaped, num_ctx=128, parallel=1) as engine:
        first = engine.generate(job("first", num_predict=100_000))
        await anext(first)
        waiting = asyncio.create_task(ask(engine, "waiting"))
        await asyncio.sleep(0)
        waiting.cancel()
        await first.aclose()  # type: ignore[attr-defined]
        assert (await ask(engine, "third", num_predict=3)).finish.eval_tokens == 3


@pytest.mark.parametrize(
    "source",
    [
        '{"type":"object","properties":{"name":{"type":"string","maxLength":8},"age":{"type":"integer","minimum":0,'
        '"maximum":150}},"required":["name","age"]}',
        '{"type":"array","items":{"enum":["red","green"]},"minItems":2,"maxItems":3}',
        '{"$defs":{"n":{"type":"object","properties":{"v":{"type":"boolean"}},"required":["v"]}},'
        '"type":"object","properties":{"x":{"$ref":"#/$defs/n"}},"required":["x"]}',
    ],
)
async def test_structured_outputs_fit_their_schema(shaped: Path, source: str) -> None:
    async with loaded(shaped) as engine:
        answer = await ask(
            engine, "Answer:", grammar=schema(source), temperature=1.0, seed=3, num_predict=400
        )
        assert answer.finish.reason == "stop"
        jsonschema.validate(json.loads(answer.text), json.loads(source))


async def test_any_json_object(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        answer = await ask(
            engine, "{", grammar=schema('{"type": "object"}'), temperature=1.0, seed=11, num_predict=400
        )
        if answer.finish.reason == "stop":
            assert isinstance(json.loads(answer.text), dict)
        assert answer.text.startswith("{")


async def test_a_schema_that_makes_no_sense_is_refused(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        with pytest.raises(BadRequest, match="format"):
            await ask(engine, "x", grammar=schema('{"type": "no such type"}'))


async def test_token_ids_as_prompt(scripted: Path) -> None:
    async with loaded(scripted) as engine:
        tokens = await engine.tokenize("Hello")
        assert (await ask(engine, tokens)).text == SCRIPT
        with pytest.raises(BadRequest, match="token"):
            await ask(engine, [10**9])
        with pytest.raises(BadRequest, match="token"):
            await ask(engine, [-1])


async def test_an_empty_prompt_is_answered(scripted: Path) -> None:
    async with loaded(scripted) as engine:
        assert (await ask(engine, "")).text == SCRIPT


@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "missing"])
async def test_a_damaged_file_fails_with_a_reason(scripted: Path, tmp_path: Path, damage: str) -> None:
    path = tmp_path / "damaged.gguf"
    data = scripted.read_bytes()
    if damage != "missing":
        path.write_bytes(
            {"truncated": data[: len(data) // 2], "garbage": b"GGUF" + b"\xff" * 999, "empty": b""}[damage]
        )
    with pytest.raises(LoadFailed, match=r"unable to load model.*: .+"):
        await start(LoadSpec(path=str(path), num_ctx=64, pool=64, parallel=1))


async def test_a_killed_engine_ends_its_requests_with_an_error(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        answer = engine.generate(job("x", num_predict=100_000))
        await anext(answer)
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(EngineGone, match="SIGKILL"):
            async for _ in answer:
                pass
        assert not engine.alive
        with pytest.raises(EngineGone):
            await engine.tokenize("x")
