"""Inference over a real library and real engines, without HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from puna.chat import Prompt, recognize, renderer
from puna.engine import quantize, start
from puna.inference import Begun, ChatInput, GenerateInput, Inference, Piece, Summary
from puna.library import Library, Recipe, create
from puna.scheduling import Scheduler
from puna.settings import Settings
from puna.types import Message
from tests.model_parts import FIRST_BYTE
from tests.models import install, scripted_model

Add = Callable[..., list[bytes]]
HELLO = [Message(role="user", content="hello")]
BEGIN = 1


@asynccontextmanager
async def inference(store: Path) -> AsyncIterator[tuple[Inference, Scheduler]]:
    scheduler = Scheduler(Settings(models=store), start)
    try:
        yield Inference(Library(store), scheduler), scheduler
    finally:
        await scheduler.close()


async def prompt_of(model: Inference, request: ChatInput | GenerateInput) -> list[int]:
    answer = model.chat(request) if isinstance(request, ChatInput) else model.generate(request)
    summary = [item async for item in answer][-1]
    assert isinstance(summary, Summary)
    return summary.tokens[: summary.prompt_tokens]


def tokens(text: str) -> list[int]:
    return [FIRST_BYTE + byte for byte in text.encode()]


async def test_an_answer_is_pieces_and_then_one_summary(store: Path, add_scripted: Add):
    script = add_scripted("m", "one two three")
    async with inference(store) as (model, _):
        *pieces, summary = [item async for item in model.chat(ChatInput(model="m", messages=HELLO))]
    assert [item.text for item in pieces if isinstance(item, Piece)] == [text.decode() for text in script]
    assert isinstance(summary, Summary)
    assert summary.reason == "stop"
    assert summary.total_ns >= summary.load_ns > 0


async def test_closing_an_answer_gives_the_model_back(store: Path, add_scripted: Add):
    add_scripted("m", "on and ", endless=True)
    async with inference(store) as (model, scheduler):
        answer = model.generate(GenerateInput(model="m", prompt="go", keep_alive=0))
        assert isinstance(await anext(answer), Begun)
        assert isinstance(await anext(answer), Piece)
        (loaded,) = scheduler.loaded_models()
        await answer.aclose()
        await asyncio.wait_for(scheduler.unload(loaded.model), timeout=30)
        assert scheduler.loaded_models() == []


async def test_several_answers_at_once_load_a_model_once(store: Path, add_scripted: Add):
    add_scripted("m", "one two three")
    async with inference(store) as (model, scheduler):

        async def text() -> str:
            items = [item async for item in model.chat(ChatInput(model="m", messages=HELLO))]
            return "".join(item.text for item in items if isinstance(item, Piece))

        assert await asyncio.gather(*(text() for _ in range(8))) == ["one two three"] * 8
        assert len(scheduler.loaded_models()) == 1


async def test_a_go_template_comes_before_the_files_own_and_the_requests_before_both(
    store: Path, tmp_path: Path
):
    jinja = "{{ bos_token }}J{% for message in messages %}{{ message.content }}{% endfor %}"
    scripted_model(tmp_path / "m.gguf", "words", chat_template=jinja)
    install(store, "m", tmp_path / "m.gguf", template="G{{ .Prompt }}")
    async with inference(store) as (model, _):
        chat = await prompt_of(model, ChatInput(model="m", messages=HELLO))
        assert chat == [BEGIN, *tokens("Ghello")]
        asked = GenerateInput(model="m", prompt="hello", template="R{{ .Prompt }}")
        assert await prompt_of(model, asked) == [BEGIN, *tokens("Rhello")]


async def test_a_model_without_a_template_gets_the_plain_text(store: Path, add_scripted: Add):
    add_scripted("m", "words", chat_template=None)
    async with inference(store) as (model, _):
        prompt = await prompt_of(model, GenerateInput(model="m", prompt="hello"))
        assert prompt == [BEGIN, *tokens("hello")]


@pytest.mark.parametrize("given", [{"num_predict": 1}, {"num_predict": None}])
async def test_a_requests_options_are_laid_over_the_models(
    store: Path, tmp_path: Path, given: dict[str, Any]
):
    scripted_model(tmp_path / "m.gguf", "one two three four")
    install(store, "m", tmp_path / "m.gguf", parameters={"num_predict": 2})
    request = ChatInput(model="m", messages=HELLO, options=given)
    async with inference(store) as (model, _):
        summary = [item async for item in model.chat(request)][-1]
    assert isinstance(summary, Summary)
    assert summary.reason == "length"
    assert summary.eval_tokens == (given["num_predict"] or 2)


async def test_an_unknown_option_is_warned_of_once(
    store: Path, add_scripted: Add, caplog: pytest.LogCaptureFixture
):
    add_scripted("m", "words")
    request = ChatInput(model="m", messages=HELLO, options={"warp_factor": 9})
    async with inference(store) as (model, _):
        with caplog.at_level(logging.WARNING, "puna.inference"):
            for _ in range(2):
                assert isinstance([item async for item in model.chat(request)][-1], Summary)
    assert caplog.messages == ['invalid option provided: "warp_factor"']


async def test_a_model_that_names_a_renderer_is_asked_in_its_form(store: Path, add_scripted: Add):
    add_scripted("base", "fine")
    create(
        Library(store),
        "coder",
        Recipe(base="base", renderer="qwen3-coder"),
        lambda _: None,
        quantize,
        recognize,
    )
    async with inference(store) as (model, _):
        asked = await prompt_of(model, ChatInput(model="coder", messages=HELLO))
    expected = renderer("qwen3-coder").render(Prompt(messages=HELLO))
    text = bytes(token - FIRST_BYTE for token in asked if FIRST_BYTE <= token < FIRST_BYTE + 256).decode()
    assert text == expected


async def test_tokens_that_a_file_names_and_its_vocabulary_lacks_are_none(store: Path, add_scripted: Add):
    marks = {
        f"tokenizer.ggml.{name}_token_id": 4_000_000_000 for name in ("eot", "fim_pre", "fim_suf", "fim_mid")
    }
    add_scripted("m", "one", metadata=marks)
    async with inference(store) as (model, _):
        assert await prompt_of(model, ChatInput(model="m", messages=HELLO))
        gap = await prompt_of(model, GenerateInput(model="m", prompt="a", suffix="b"))
    assert gap == [BEGIN, *tokens("ab")]
