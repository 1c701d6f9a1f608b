"""Beside the text of its tokens an engine tells their probabilities; control tokens, and what a bias does."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from puna.errors import BadRequest
from puna.types import Begun, Delta, Finish, TokenLogprob
from tests.engine.asking import ask, job, loaded
from tests.models import scripted_model


async def reported(path: Path, most: int, **options) -> list[TokenLogprob]:
    async with loaded(path) as engine:
        steps = [
            step async for step in engine.generate(job("Hello", logprobs=most, num_predict=6, **options))
        ]
    return [token for step in steps if isinstance(step, Delta) for token in step.logprobs]


async def test_each_token_has_its_probability_and_the_likeliest_in_its_place(shaped: Path) -> None:
    tokens = await reported(shaped, 3)
    assert len(tokens) == 6
    for token in tokens:
        assert len(token.top) == 3
        best = [one.logprob for one in token.top]
        assert best == sorted(best, reverse=True)
        # At temperature 0 the likeliest is taken.
        assert (token.token, token.logprob) == (token.top[0].token, best[0])
        assert bytes(token.bytes).decode("utf-8", "replace") == token.token


async def test_the_probabilities_of_all_tokens_make_one(shaped: Path) -> None:
    first, *_ = await reported(shaped, 512)
    assert len(first.top) == 512
    assert math.isclose(sum(math.exp(one.logprob) for one in first.top), 1, abs_tol=1e-4)


async def test_options_change_what_is_drawn_and_not_what_is_reported(shaped: Path) -> None:
    cold, hot = await reported(shaped, 2), await reported(shaped, 2, temperature=1.5, seed=3)
    for one, other in zip(cold[0].top, hot[0].top, strict=True):
        assert math.isclose(one.logprob, other.logprob, abs_tol=0.1)


async def test_no_report_unless_asked(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        steps = [step async for step in engine.generate(job("Hello", num_predict=3))]
    assert not [step for step in steps if isinstance(step, Delta) and step.logprobs]


async def test_the_length_of_the_prompt_comes_first_and_every_token_is_counted(shaped: Path) -> None:
    cached: list[int] = []
    async with loaded(shaped) as engine:
        for _ in range(2):
            begun, *deltas, end = [step async for step in engine.generate(job("Hello", num_predict=5))]
            assert isinstance(end, Finish)
            assert begun == Begun(end.prompt_tokens, end.cached_tokens)
            assert sum(step.tokens for step in deltas if isinstance(step, Delta)) == end.eval_tokens == 5
            cached.append(end.cached_tokens)
        assert (await ask(engine, "Hello", num_predict=1)).finish.eval_ns > 0
    assert cached[0] == 0 < cached[1]


@pytest.mark.parametrize("stop", ["two", "e two", "two three", " four", "two, too", "four, too", "one"])
async def test_reports_are_those_of_the_text_before_a_stop_string(tmp_path: Path, stop: str) -> None:
    scripted_model(tmp_path / "m.gguf", "one two three four")
    async with loaded(tmp_path / "m.gguf") as engine:
        asked = job("x", logprobs=0, stop=(stop,))
        deltas = [step async for step in engine.generate(asked) if isinstance(step, Delta)]
    tokens = [token.token for delta in deltas for token in delta.logprobs]
    told, text = "one two three four".partition(stop)[0], "".join(delta.text for delta in deltas)
    assert text == told
    # A stop string may begin inside a token.
    assert "".join(tokens).startswith(told)
    assert len("".join(tokens[:-1])) < max(len(told), 1)


async def test_a_token_without_text_is_reported_too(tmp_path: Path) -> None:
    scripted_model(tmp_path / "m.gguf", ["<|mark|>", "word"], control=["<|mark|>"])
    assert [token.token for token in await reported(tmp_path / "m.gguf", 0)] == ["<|mark|>", "word"]


async def test_a_bias_forbids_and_forces_tokens(shaped: Path) -> None:
    async with loaded(shaped) as engine:
        plain = await ask(engine, "Hello", num_predict=4)
        first = plain.finish.tokens[plain.finish.prompt_tokens]
        without = await ask(engine, "Hello", num_predict=4, bias={first: -100.0})
        assert first not in without.finish.tokens[without.finish.prompt_tokens :]
        forced = await ask(engine, "Hello", num_predict=4, bias={300: 100.0})
        assert forced.finish.tokens[-4:] == [300] * 4
        with pytest.raises(BadRequest, match="logit_bias names the token 99999"):
            await ask(engine, "Hello", bias={99999: 1.0})


async def test_control_tokens_are_text_only_when_asked_for(tmp_path: Path) -> None:
    scripted_model(tmp_path / "m.gguf", ["<|mark|>", "word", "<|other|>"], control=["<|mark|>", "<|other|>"])
    async with loaded(tmp_path / "m.gguf") as engine:
        assert (await ask(engine, "x")).text == "word"
        assert (await ask(engine, "x", visible=("<|mark|>", "<nothing>", "word"))).text == "<|mark|>word"


async def test_the_end_says_which_stop_string_it_was(tmp_path: Path) -> None:
    scripted_model(tmp_path / "m.gguf", "one two three four")
    async with loaded(tmp_path / "m.gguf") as engine:
        assert (await ask(engine, "x", stop=("four", "two"))).finish.stop == "two"
        assert (await ask(engine, "x")).finish.stop == ""
