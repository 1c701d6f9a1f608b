"""Sounds in prompts, through the real engine: random models that hear, against libmtmd's own evaluation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puna.engine import EngineProcess
from puna.errors import BadRequest
from puna.types import Delta, Image, Sound
from tests.engine.asking import ask, job, loaded
from tests.engine.seeing import next_logprobs
from tests.hearing_models import ROWS, float_wav, hearing_model, silent_mp3, tone, unified_model, wav
from tests.vision_models import ROWS as PICTURE_ROWS
from tests.vision_models import vision_model

HERE = "<__media__>"
LOW, HIGH, LONG = wav(tone(220)), wav(tone(1760)), wav(tone(440, seconds=40))
CAT = Image(60, 40, np.random.default_rng(1).integers(0, 256, 60 * 40 * 3, np.uint8).tobytes())

Hearing = tuple[Path, Path]


@pytest.fixture(scope="module")
def hearing(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Hearing]:
    """A model that hears and its projector; one that sees too."""
    made: dict[bool, Hearing] = {}

    def make(sees: bool = False) -> Hearing:
        if sees not in made:
            made[sees] = hearing_model(tmp_path_factory.mktemp("hearing"), sees=sees)
        return made[sees]

    return make


def media(*given: Image | bytes) -> tuple[Image | Sound, ...]:
    return tuple(Sound(one, 1) if isinstance(one, bytes) else one for one in given)


async def likeliest(engine: EngineProcess, prompt: str, *given: Image | bytes) -> list[float]:
    """Log-probabilities of the likeliest tokens after `prompt`, best first."""
    asked = job(prompt, media=media(*given), logprobs=20, num_predict=1)
    events = [event async for event in engine.generate(asked)]
    (token,) = (one for event in events if isinstance(event, Delta) for one in event.logprobs)
    return [one.logprob for one in token.top]


def expected(model: Hearing, prompt: str, *given: Image | bytes) -> list[float]:
    return sorted(next_logprobs(*model, prompt, given), reverse=True)[:20]


def close(numbers: list[float]) -> Any:
    return pytest.approx(numbers, abs=0.01, rel=0.001)


@pytest.mark.parametrize("sees", [False, True])
async def test_an_answer_is_that_of_libmtmd(
    hearing: Callable[[bool], Hearing], sees: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The reference is libllama's own arithmetic, whose attention rounds its sums to F16.
    monkeypatch.setenv("PUNA_KERNELS", "0")
    model = hearing(sees)
    prompt = f"First {HERE} then{HERE}{HERE} at the end?"
    given = (LOW, CAT if sees else LONG, HIGH)
    later = f"{prompt} And this: {HERE}?"
    async with loaded(model[0], projector=model[1]) as engine:
        assert (engine.info.vision, engine.info.audio) == (sees, True)
        assert await likeliest(engine, prompt, *given) == close(expected(model, prompt, *given))
        # On top of what the first turn has evaluated.
        assert await likeliest(engine, later, *given, LONG) == close(expected(model, later, *given, LONG))


async def test_it_sees_and_hears_without_encoders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNA_KERNELS", "0")
    model = unified_model(tmp_path)
    prompt, given = f"First {HERE} then{HERE}{HERE} at the end?", (LOW, CAT, HIGH)
    async with loaded(model[0], projector=model[1], num_ctx=1024) as engine:
        assert (engine.info.vision, engine.info.audio) == (True, True)
        assert await likeliest(engine, prompt, *given) == close(expected(model, prompt, *given))
        second = await ask(engine, f"{prompt} And?", media=media(*given), num_predict=1)
        assert second.finish.encoded == 0


async def test_a_picture_with_more_rows_than_a_square_one_is_seen(tmp_path: Path) -> None:
    """All of a picture's rows see one another, so they need one batch."""
    model = unified_model(tmp_path)
    wide = Image(800, 400, bytes(3 * 800 * 400))
    async with loaded(model[0], projector=model[1], num_ctx=800) as engine:
        seen = await ask(engine, HERE, media=media(wide), num_predict=1)
        assert 200 <= seen.finish.prompt_tokens < 230  # a quarter of the context; a square has 14² = 196 rows


async def test_an_answer_depends_on_the_sounds_and_their_order(hearing: Callable[[bool], Hearing]) -> None:
    model, projector = hearing(False)
    prompt = f"First {HERE} then {HERE}?"
    async with loaded(model, projector=projector) as engine:
        both = await likeliest(engine, prompt, LOW, HIGH)
        swapped = await likeliest(engine, prompt, HIGH, LOW)
        twice = await likeliest(engine, prompt, LOW, LOW)
    assert both != close(swapped)
    assert both != close(twice)


async def test_a_sound_is_encoded_once(hearing: Callable[[bool], Hearing]) -> None:
    model, projector = hearing(False)
    async with loaded(model, projector=projector) as engine:
        turn = f"{HERE} What is it?"
        first = await ask(engine, turn, media=media(LOW), num_predict=1)
        words = len(await engine.tokenize(" What is it?"))
        assert (first.finish.encoded, first.finish.prompt_tokens) == (1, ROWS + words)
        repeated = await ask(engine, turn, media=media(LOW), num_predict=1)
        assert (repeated.finish.encoded, repeated.finish.cached_tokens) == (0, ROWS + words)
        assert repeated.finish.tokens == first.finish.tokens
        second = await ask(engine, f"{turn} And this {HERE}", media=media(LOW, HIGH), num_predict=1)
        assert (second.finish.encoded, second.finish.cached_tokens) == (1, ROWS + words)
        # Another place: its rows are evaluated anew, but not listened to.
        moved = await ask(engine, f"Tell me: {HERE}", media=media(HIGH), num_predict=1)
        assert moved.finish.encoded == 0
        assert moved.finish.cached_tokens < ROWS
        # Half a minute each is a part of its own, and both are kept.
        long = await ask(engine, f"{HERE}{HERE}", media=media(LONG, LOW), num_predict=1)
        assert (long.finish.encoded, long.finish.prompt_tokens) == (1, 3 * ROWS + 1)
        assert (await ask(engine, f"x{HERE}", media=media(LONG), num_predict=1)).finish.encoded == 0


async def test_a_sound_and_a_picture_in_one_prompt(hearing: Callable[[bool], Hearing]) -> None:
    model, projector = hearing(True)
    async with loaded(model, projector=projector) as engine:
        both = await ask(engine, f"{HERE} and {HERE}", media=media(CAT, LOW), num_predict=1)
        words = len(await engine.tokenize(" and "))
        assert both.finish.prompt_tokens == PICTURE_ROWS + ROWS + words
        assert both.finish.encoded == 2


async def test_kinds_of_files_that_say_the_same(hearing: Callable[[bool], Hearing]) -> None:
    """One sound as 16 bits, as stereo, as floats, and silence as WAV and as MP3."""
    model, projector = hearing(False)
    samples = tone(440)
    same = [wav(samples), wav(samples.repeat(2), channels=2), float_wav(samples / 32768)]
    silent = [wav(np.zeros(48 * 1152, "<i2"), 44_100), silent_mp3(48)]
    async with loaded(model, projector=projector) as engine:
        prompt = f"Hear: {HERE} what?"
        told = [await likeliest(engine, prompt, file) for file in same]
        assert [told[0]] * 3 == [close(one) for one in told]
        silence = [await likeliest(engine, prompt, file) for file in silent]
        assert silence[0] == close(silence[1])
        assert silence[0] != close(told[0])


async def test_what_cannot_be_heard_is_refused(hearing: Callable[[bool], Hearing], tmp_path: Path) -> None:
    model, projector = hearing(False)

    async def refusal(engine: EngineProcess, *given: Image | bytes) -> str:
        with pytest.raises(BadRequest) as refused:
            await ask(engine, HERE * len(given), media=media(*given))
        return str(refused.value)

    async with loaded(model, projector=projector, num_ctx=64) as engine:
        damaged = "the sound is damaged or empty"
        assert await refusal(engine, b"RIFF\0\0\0\0WAVEnothing more") == damaged
        assert await refusal(engine, b"fLaC" + bytes(40)) == damaged
        assert await refusal(engine, wav(tone(440, seconds=0))) == damaged
        assert "do not fit in 64 tokens" in await refusal(engine, *[LOW] * 5)
        assert "required for image input" in await refusal(engine, CAT)
        # Whatever is in a file of floats, the engine lives and answers with numbers.
        odd = float_wav(np.array([np.nan, np.inf, -np.inf, 1e38] * 4000))
        assert np.isfinite(await likeliest(engine, HERE, odd)).all()
    seer, sight = vision_model(tmp_path)
    async with loaded(seer, projector=sight) as deaf:
        assert "required for audio input" in await refusal(deaf, LOW)
