"""Pictures in prompts, through the real engine: random models that see, against libmtmd's own evaluation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from puna.engine import EngineProcess
from puna.errors import BadRequest, LoadFailed
from puna.types import Delta, Image
from tests.engine.asking import Answer, agree, ask, job, loaded
from tests.engine.seeing import next_logprobs
from tests.vision_models import ROWS, gemma3_model, llava_projector, qwen3vl_model, qwen35_model, vision_model

SIGHT = "<__media__>"
KINDS = ("llava", "tiles", "gemma3", "qwen3vl")

Seeing = tuple[Path, Path]


@pytest.fixture(scope="module")
def seeing(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Seeing]:
    """Model and projector of a kind, made once."""
    made: dict[str, Seeing] = {}

    def make(kind: str) -> Seeing:
        if kind not in made:
            folder = tmp_path_factory.mktemp(kind)
            if kind in ("llava", "tiles"):
                made[kind] = vision_model(folder, tiles=kind == "tiles")
            else:
                made[kind] = (gemma3_model if kind == "gemma3" else qwen3vl_model)(folder)
        return made[kind]

    return make


def picture(seed: int, width: int = 150, height: int = 140) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image(width, height, pixels.tobytes())


CAT, DOG = picture(1), picture(2, 96, 200)


async def likeliest(
    engine: EngineProcess, prompt: str | list[int], *images: Image, **options: Any
) -> list[float]:
    """Log-probabilities of the likeliest tokens after `prompt`, best first."""
    asked = job(prompt, media=images, logprobs=20, num_predict=1, **options)
    events = [event async for event in engine.generate(asked)]
    (token,) = (one for event in events if isinstance(event, Delta) for one in event.logprobs)
    return [one.logprob for one in token.top]


def expected(model: Seeing, prompt: str, *images: Image, least: int = -1) -> list[float]:
    return sorted(next_logprobs(*model, prompt, list(images), least=least), reverse=True)[:20]


def close(numbers: list[float]) -> Any:
    return pytest.approx(numbers, abs=0.02, rel=0.01)


@pytest.mark.parametrize("kind", KINDS)
async def test_an_answer_is_that_of_libmtmd(seeing: Callable[[str], Seeing], kind: str) -> None:
    model = seeing(kind)
    turn = f"Here is {SIGHT} and then{SIGHT} What do you see?"
    images, more = (CAT, DOG), (CAT, DOG, CAT)
    later = f"{turn} Two animals. And here: {SIGHT}?"
    least = 256 if kind == "qwen3vl" else -1
    async with loaded(model[0], projector=model[1], num_ctx=1024) as engine:
        assert await likeliest(engine, turn, *images) == close(expected(model, turn, *images, least=least))
        # On top of what the first turn has evaluated.
        assert await likeliest(engine, later, *more) == close(expected(model, later, *more, least=least))


async def test_a_qwen_vl_sees_small_pictures_larger(seeing: Callable[[str], Seeing], tmp_path: Path) -> None:
    """With the tokens that it needs to find things, or a quarter of a context that has not so many."""

    async def rows(model: Seeing, image: Image, num_ctx: int) -> int:
        async with loaded(model[0], projector=model[1], num_ctx=num_ctx, parallel=1) as engine:
            return (await ask(engine, SIGHT, media=(image,), num_predict=1)).finish.prompt_tokens

    line = Image(1, 4096, bytes(3 * 4096))
    assert 1024 <= await rows(seeing("qwen3vl"), CAT, 8192) < 1200
    assert 1024 <= await rows(seeing("qwen3vl"), line, 8192) < 2 * 1200
    assert 128 <= await rows(seeing("qwen3vl"), CAT, 512) < 160
    assert await rows(qwen35_model(tmp_path), CAT, 8192) < 100


@pytest.mark.parametrize("kind", ["tiles", "qwen3vl"])
async def test_a_picture_at_the_very_end_of_a_prompt(seeing: Callable[[str], Seeing], kind: str) -> None:
    model = seeing(kind)
    prompt = f"A picture: {SIGHT}"
    async with loaded(model[0], projector=model[1]) as engine:
        first = await likeliest(engine, prompt, CAT)
        async with loaded(model[0], projector=model[1]) as other:
            await ask(other, prompt + " of", media=(CAT,), num_predict=1)
            shared = await likeliest(other, prompt, CAT)
    assert first == close(shared)
    assert len(set(first)) > 1


async def test_a_picture_larger_than_a_batch(seeing: Callable[[str], Seeing]) -> None:
    model = seeing("qwen3vl")
    large = picture(3, 700, 500)
    prompt = f"Look: {SIGHT} What is it?"
    async with loaded(model[0], projector=model[1], num_batch=1, num_ctx=512) as few:
        split = await ask(few, prompt, media=(large,), num_predict=1)
        assert 100 < split.finish.prompt_tokens < 170  # a quarter of the context, and the text around it
        found = await likeliest(few, prompt, large)
    async with loaded(model[0], projector=model[1], num_ctx=512) as many:
        assert found == close(await likeliest(many, prompt, large))


async def test_an_answer_depends_on_the_pictures_and_their_order(seeing: Callable[[str], Seeing]) -> None:
    model, projector = seeing("llava")
    prompt = f"First {SIGHT} then {SIGHT}?"
    async with loaded(model, projector=projector) as engine:
        assert engine.info.vision
        assert not engine.info.audio
        both = await likeliest(engine, prompt, CAT, DOG)
        swapped = await likeliest(engine, prompt, DOG, CAT)
        twice = await likeliest(engine, prompt, CAT, CAT)
    assert both != close(swapped)
    assert both != close(twice)


async def test_a_picture_is_encoded_once(seeing: Callable[[str], Seeing]) -> None:
    model, projector = seeing("tiles")
    async with loaded(model, projector=projector) as engine:
        first = await ask(engine, f"{SIGHT} What is it?", media=(CAT,), num_predict=3)
        assert first.finish.encoded == 1
        assert first.finish.cached_tokens == 0
        # The same place: its rows are in the pool already.
        again = await ask(engine, f"{SIGHT} What colour?", media=(CAT,), num_predict=3)
        assert again.finish.encoded == 0
        assert again.finish.cached_tokens >= 5 * ROWS
        # Another place: its rows are evaluated anew, but not looked at.
        moved = await ask(engine, f"Tell me: {SIGHT}", media=(CAT,), num_predict=3)
        assert moved.finish.encoded == 0
        assert moved.finish.cached_tokens < ROWS
        other = await ask(engine, f"{SIGHT}{SIGHT} Which?", media=(CAT, DOG), num_predict=3)
        assert other.finish.encoded == 1


async def test_a_picture_that_another_key_sent_is_encoded_anew(seeing: Callable[[str], Seeing]) -> None:
    model, projector = seeing("tiles")
    async with loaded(model, projector=projector) as engine:

        async def encoded(owner: str) -> int:
            answer = await ask(engine, f"{SIGHT} What is it?", media=(CAT,), num_predict=1, owner=owner)
            return answer.finish.encoded

        assert [await encoded(owner) for owner in ("key a", "key b", "key a", "key b", "")] == [1, 1, 0, 0, 1]


async def test_the_next_turn_evaluates_only_what_is_new(seeing: Callable[[str], Seeing]) -> None:
    model, projector = seeing("qwen3vl")
    turn = f"{SIGHT} What is it?"
    async with loaded(model, projector=projector) as engine:
        first = await ask(engine, turn, media=(CAT,), num_predict=1)
        repeated = await ask(engine, turn, media=(CAT,), num_predict=1)
        assert repeated.finish.cached_tokens == repeated.finish.prompt_tokens
        assert repeated.finish.tokens == first.finish.tokens
        second = await ask(engine, turn + " And this: " + SIGHT, media=(CAT, DOG), num_predict=1)
        assert second.finish.cached_tokens == first.finish.prompt_tokens


async def test_what_left_the_pool_comes_back(seeing: Callable[[str], Seeing]) -> None:
    model = seeing("qwen3vl")
    turn = f"Look at this {SIGHT} and at this {SIGHT} please."
    later = turn + " Which is the older one?"
    async with loaded(model[0], projector=model[1], num_ctx=192, pool=192, parallel=1) as engine:
        await ask(engine, turn, media=(CAT, DOG), num_predict=2)
        await ask(engine, "Something else entirely, which takes all the room there is.", num_predict=30)
        asked = job(later, media=(CAT, DOG), logprobs=20, num_predict=1)
        events = [event async for event in engine.generate(asked)]
    finish = events.pop()
    assert not isinstance(finish, Delta)
    assert finish.cached_tokens > 40
    (token,) = (one for event in events if isinstance(event, Delta) for one in event.logprobs)
    assert [one.logprob for one in token.top] == close(expected(model, later, CAT, DOG, least=48))


@pytest.mark.parametrize("kind", ["gemma3", "qwen3vl"])
async def test_requests_beside_one_another_answer_as_alone(
    seeing: Callable[[str], Seeing], kind: str
) -> None:
    model, projector = seeing(kind)
    asked: list[tuple[str, tuple[Image, ...]]] = [
        ("No picture at all, only words.", ()),
        (f"One {SIGHT} of something", (CAT,)),
        (f"Another {SIGHT}{SIGHT} of something", (DOG, CAT)),
        ("More words without a picture", ()),
    ]

    async def answers(prompt: str, images: tuple[Image, ...]) -> Answer:
        return await ask(engine, prompt, media=images, num_predict=12, logprobs=2)

    async with loaded(model, projector=projector, num_ctx=256) as engine:
        alone = [await answers(*one) for one in asked]
    async with loaded(model, projector=projector, num_ctx=256) as engine:
        together = await asyncio.gather(*(answers(*one) for one in asked))
    assert agree(together, alone)


async def test_a_request_that_had_to_leave_the_pool_looks_again(seeing: Callable[[str], Seeing]) -> None:
    model, projector = seeing("qwen3vl")
    prompts = [f"{name}: {SIGHT} and so" for name in ("One", "Two", "Three")]

    async def asked(prompt: str) -> Answer:
        return await ask(engine, prompt, media=(CAT,), num_predict=150, logprobs=2)

    async with loaded(model, projector=projector, num_ctx=512, pool=512) as engine:
        # Each fits beside the others at first, but not all answers do.
        together = await asyncio.gather(*(asked(prompt) for prompt in prompts))
    async with loaded(model, projector=projector, num_ctx=512, pool=512, parallel=1) as engine:
        alone = [await asked(prompt) for prompt in prompts]
    assert agree(together, alone)


@pytest.mark.parametrize("kind", ["tiles", "gemma3", "qwen3vl"])
async def test_a_full_context_drops_whole_pictures(seeing: Callable[[str], Seeing], kind: str) -> None:
    model, projector = seeing(kind)
    images = (DOG, CAT)
    prompt = f"A {SIGHT} B {SIGHT} C"
    num_ctx = 256 if kind == "tiles" else 128
    async with loaded(model, projector=projector, num_ctx=num_ctx, parallel=1) as engine:
        for keep in (0, 12, 40):
            answer = await ask(engine, prompt, media=images, num_predict=num_ctx, num_keep=keep)
            if answer.finish.reason == "length":
                assert answer.finish.eval_tokens == num_ctx
        after = await ask(engine, "Hello", num_predict=1)
        assert after.finish.eval_tokens == 1


async def test_an_earlier_answers_context_takes_a_picture(seeing: Callable[[str], Seeing]) -> None:
    model, projector = seeing("llava")
    async with loaded(model, projector=projector) as engine:
        earlier = await ask(engine, "Hello there", num_predict=1)
        context = [*earlier.finish.tokens[:-1], *await engine.tokenize(f" {SIGHT} see?", add_bos=False)]
        found = await likeliest(engine, context, CAT)
        assert found == close(await likeliest(engine, f"Hello there {SIGHT} see?", CAT))


async def test_words_do_not_wait_for_pictures(seeing: Callable[[str], Seeing]) -> None:
    model, projector = seeing("llava")
    many = tuple(picture(number) for number in range(100, 140))
    async with loaded(model, projector=projector, num_ctx=1024) as engine:
        looking = asyncio.create_task(ask(engine, SIGHT * 40 + "What?", media=many, num_predict=1))
        talking = await ask(engine, "Only words", num_predict=2)
        assert talking.finish.eval_tokens == 2
        assert not looking.done()
        seen = await looking
        assert seen.finish.encoded == 40
        # Whoever leaves while the encoder works leaves it in order for the next.
        leaving = asyncio.create_task(ask(engine, SIGHT, media=(DOG,), num_predict=1))
        await ask(engine, "Words", num_predict=1)
        leaving.cancel()
        assert (await ask(engine, f"{SIGHT} again", media=(CAT,), num_predict=1)).finish.encoded == 1


async def test_rows_of_pictures_are_counted_but_not_told(seeing: Callable[[str], Seeing]) -> None:
    model, projector = seeing("llava")
    async with loaded(model, projector=projector) as engine:
        words = await engine.tokenize("ab cd")
        options = {"repeat_penalty": 1.3, "repeat_last_n": -1, "temperature": 0.7, "seed": 1}
        answer = await ask(engine, f"ab{SIGHT} cd", media=(CAT,), num_predict=4, **options)
        assert answer.finish.prompt_tokens == len(words) + ROWS
        assert answer.finish.tokens[: len(words)] == words
        assert len(answer.finish.tokens) == len(words) + answer.finish.eval_tokens
        assert max(answer.finish.tokens) < 512


async def test_what_cannot_be_seen_is_refused(seeing: Callable[[str], Seeing]) -> None:
    model, projector = seeing("llava")

    async def refusal(engine: EngineProcess, prompt: str | list[int], *images: Image, **options: Any) -> str:
        with pytest.raises(BadRequest) as refused:
            await ask(engine, prompt, media=images, **options)
        return str(refused.value)

    async with loaded(model, projector=projector, num_ctx=64) as engine:
        assert await refusal(engine, "No place", CAT) == "the prompt has 0 places for 1 images or sounds"
        assert await refusal(engine, SIGHT * 2, CAT) == "the prompt has 2 places for 1 images or sounds"
        assert "0 places for 1 images or sounds" in await refusal(engine, [1, 2, 3], CAT)
        assert "invalid bitmap dimensions" in await refusal(engine, SIGHT, Image(0, 0, b""))
        assert await refusal(engine, SIGHT, Image(2, 2, b"rgb")) == "an image of 2 x 2 has 3 bytes"
        assert "the images or sounds do not fit in 64 tokens" in await refusal(engine, SIGHT * 4, *[CAT] * 4)
        assert "the images or sounds do not fit" in await refusal(
            engine, SIGHT + "word " * 40, CAT, num_keep=0
        )
        assert "exceeds the context" in await refusal(engine, SIGHT * 4, *[CAT] * 4, truncate=False)
        # Text behind a picture may be cut as long as the picture stays.
        cut = await ask(engine, f"{SIGHT}" + "word " * 40, media=(CAT,), num_keep=40, num_predict=1)
        assert cut.finish.prompt_tokens < 64
    async with loaded(model) as blind:
        assert "missing data required for image and audio input" in await refusal(blind, SIGHT, CAT)
        assert (await ask(blind, f"The text {SIGHT} alone is text", num_predict=1)).finish.eval_tokens == 1


async def test_a_projector_that_is_none_is_refused(seeing: Callable[[str], Seeing], tmp_path: Path) -> None:
    model, projector = seeing("llava")
    cut, narrow = tmp_path / "cut.gguf", tmp_path / "narrow.gguf"
    cut.write_bytes(projector.read_bytes()[:-2000])
    llava_projector(narrow, width=32)
    reasons = {
        cut: "unable to load projector: .*cut.gguf: it is truncated",
        narrow: "mismatch between text model",
        model: "it is no projector",
        tmp_path / "gone.gguf": "unable to load projector",
    }
    for path, reason in reasons.items():
        with pytest.raises(LoadFailed, match=reason) as failed:
            async with loaded(model, projector=path):
                pass
        assert str(path) in str(failed.value)
