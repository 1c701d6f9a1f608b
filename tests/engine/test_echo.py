"""A prompt's own tokens, with the probabilities that the model gave them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from puna.engine import EngineProcess
from puna.errors import BadRequest, PromptTooLong
from puna.types import Begun, Delta, TokenLogprob
from tests.engine.asking import NEAR, ask, job, loaded
from tests.models import recurrent_model, shape_model, sliding_window_model

TEXT = "Many words, of which no two are alike: one, two and three; four or five. " * 3


async def read(engine: EngineProcess, prompt: str | list[int], **options: Any) -> Begun:
    asked = {"logprobs": 2, "echo": True, "silent": True} | options
    begun, *rest = [event async for event in engine.generate(job(prompt, **asked))]
    assert isinstance(begun, Begun)
    assert len(begun.read) == begun.prompt_tokens
    assert begun.read[0].logprob == 0
    assert not any(isinstance(event, Begun) for event in rest)
    return begun


async def following(engine: EngineProcess, prompt: list[int]) -> list[TokenLogprob]:
    """The likeliest tokens after `prompt`, all 512 of them."""
    events = engine.generate(job(prompt, logprobs=512, num_predict=1, echo=True))
    (token,) = [one async for event in events if isinstance(event, Delta) for one in event.logprobs]
    return token.top


@pytest.mark.parametrize("make", [shape_model, recurrent_model, sliding_window_model])
async def test_each_token_has_the_probability_it_would_have_as_an_answer(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "m.gguf")
    async with loaded(tmp_path / "m.gguf") as engine:
        tokens = await engine.tokenize(TEXT)
        begun = await read(engine, tokens)
        assert len(tokens) > 130  # more than two steps report at once
        assert b"".join(bytes(one.bytes) for one in begun.read).decode().endswith(TEXT)
        for place in (1, 64, 65, len(tokens) - 1):
            one, top = begun.read[place], await following(engine, tokens[:place])
            assert [each.logprob for each in one.top] == pytest.approx(
                [each.logprob for each in top[:2]], abs=NEAR
            )
            # More than one token of this vocabulary may be spelled so.
            same = [each.logprob for each in top if each.bytes == one.bytes]
            assert min(abs(one.logprob - logprob) for logprob in same) < NEAR


async def test_what_is_known_is_evaluated_again_to_be_reported(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        first = await read(engine, TEXT)
        again = await read(engine, TEXT)
        assert again.cached_tokens == 0
        assert [one.token for one in again.read] == [one.token for one in first.read]
        plain = await ask(engine, TEXT, num_predict=1)
        assert plain.finish.cached_tokens == plain.finish.prompt_tokens


async def test_a_begin_token_that_was_put_there_is_no_text(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        whole = await engine.tokenize("Hello")
        assert whole != await engine.tokenize("Hello", add_bos=False), "this model has a begin token"
        spelled = await engine.detokenize(whole[:1])
        added, given = await read(engine, "Hello"), await read(engine, whole)
        assert [one.token for one in added.read] == [one.token for one in given.read]
        assert (added.read[0].token, added.read[0].bytes) == (spelled, [])
        assert bytes(given.read[0].bytes).decode() == spelled
        assert (await read(engine, spelled + "Hello")).read[0].bytes == given.read[0].bytes


async def test_an_answer_follows_unless_it_is_silent(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        for known in (False, True):
            silent = await ask(engine, "Hello", silent=True)
            assert (silent.text, silent.finish.reason, silent.finish.eval_tokens) == ("", "length", 0)
            assert silent.finish.eval_ns == 0
            assert (silent.finish.cached_tokens > 0) is known
        answer = await ask(engine, "Hello", echo=True, num_predict=4)
        plain = await ask(engine, "Hello", num_predict=4)
        assert answer.text == plain.text
        assert answer.finish.eval_tokens == 4


async def test_others_answer_meanwhile(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        alone = await read(engine, TEXT)
        *reads, answer = await asyncio.gather(
            read(engine, TEXT), read(engine, TEXT), ask(engine, "Hello", num_predict=30)
        )
        assert answer.finish.eval_tokens == 30
        for begun in reads:
            assert isinstance(begun, Begun)
            assert [one.logprob for one in begun.read] == pytest.approx(
                [one.logprob for one in alone.read], abs=NEAR
            )


async def test_a_prompt_that_cannot_be_read_as_it_is(shaped: Path) -> None:
    async with loaded(shaped, num_ctx=64) as engine:
        with pytest.raises(PromptTooLong):
            await read(engine, TEXT, truncate=False)
        with pytest.raises(BadRequest, match="token 1000000 at place 1"):
            await read(engine, [3, 1_000_000])
        assert (await read(engine, [3])).prompt_tokens == 1
