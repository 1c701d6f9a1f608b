"""Each family's notation through a real engine, a byte a token: a model's answer in, pieces of it out."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from puna.chat import family_named
from puna.engine import start
from puna.inference import ChatInput, Inference, Piece, Summary
from puna.library import Library
from puna.scheduling import Scheduler
from puna.settings import Settings
from puna.types import Message
from tests.chat.families import special_tokens
from tests.chat.parsing.notations import Call
from tests.chat.parsing.reading import FORECAST, NOW, TOOLS
from tests.chat.parsing.written import WRITTEN, Written
from tests.models import install, scripted_model

HELLO = [Message(role="user", content="hello")]
ENDS = {"harmony": "<|return|>", "solar-open": "<|flush|>"}
each_family = pytest.mark.parametrize("written", WRITTEN, ids=str)

Say = Callable[..., Awaitable[Piece]]


@pytest.fixture
def say(store: Path, tmp_path: Path) -> Say:
    """`say(written, text)`: the whole answer of a model of that family that says `text`.

    If `plain`, it has no control tokens for the notation.
    """

    async def say(written: Written, text: str, *, plain: bool = False, **asked: Any) -> Piece:
        special = frozenset() if plain else special_tokens(written.family)
        script = spelled(text, special)
        if written.family in ENDS:
            # By this token libllama knows the vocabulary, and that <|end|> ends no answer in it.
            script.append(ENDS[written.family])
        control = special | {"<|return|>"}
        scripted_model(tmp_path / "m.gguf", script, control=control, chat_template=None)
        config = {"parser": written.family} if family_named(written.family) else {"capabilities": ["tools"]}
        install(store, "m", tmp_path / "m.gguf", config=config)
        scheduler = Scheduler(Settings(models=store), start)
        try:
            inference = Inference(Library(store), scheduler)
            asked = {"model": "m", "messages": HELLO, "tools": TOOLS, **asked}
            request = msgspec.convert(asked, ChatInput)
            items = [item async for item in inference.chat(request)]
        finally:
            await scheduler.close()
        assert isinstance(items[-1], Summary)
        return whole([item for item in items if isinstance(item, Piece)])

    return say


def spelled(text: str, special: frozenset[str]) -> list[str | bytes]:
    """Control tokens where there are some, bytes between them."""
    found: list[str | bytes] = []
    rest = text
    while rest:
        token = max((one for one in special if rest.startswith(one)), key=len, default=None)
        # A token may be written once: a scripted model says after each token always the same.
        found.append(token if token and token not in found else rest[0].encode())
        rest = rest[len(token) :] if token and found[-1] == token else rest[1:]
    return found


def whole(pieces: list[Piece]) -> Piece:
    return Piece(
        text="".join(piece.text for piece in pieces),
        thinking="".join(piece.thinking for piece in pieces),
        calls=tuple(call for piece in pieces for call in piece.calls),
    )


def made(piece: Piece) -> list[Call]:
    assert [call.index for call in piece.calls] == list(range(len(piece.calls)))
    assert len({call.id for call in piece.calls}) == len(piece.calls)
    return [(call.name, call.arguments) for call in piece.calls]


@each_family
async def test_text_and_two_calls(say: Say, written: Written):
    before = f"{written.text[0]}Let me see.{written.text[1]}{written.between}" if written.between else ""
    calls = [FORECAST, NOW]
    if written.family == "harmony":
        calls.pop()  # <|call|> ends the answer
    answer = await say(written, before + written.calls(calls))
    assert made(answer) == calls
    assert answer.text == ("Let me see." if before else "")
    assert answer.thinking == ""


@pytest.mark.parametrize(
    "written",
    [one for one in WRITTEN if one.think and (found := family_named(one.family)) and found[1].thinks],
    ids=str,
)
async def test_reasoning_and_a_call(say: Say, written: Written):
    assert written.think
    answer = await say(written, "Rain?".join(written.think) + written.calls([NOW]), think=True)
    assert (answer.thinking, answer.text, made(answer)) == ("Rain?", "", [NOW])


@pytest.mark.parametrize(
    ("family", "wrapper"),
    [
        ("granite", ("<response>", "</response>")),
        ("ernie", ("<response>", "</response>")),
        ("hunyuan", ("<answer>", "</answer>")),
        ("deepseek", ("<｜Assistant｜>", "<｜end▁of▁sentence｜>")),
    ],
)
@pytest.mark.parametrize("tools", [[], TOOLS], ids=["alone", "with tools"])
async def test_a_format_is_all_there_is(say: Say, family: str, wrapper: tuple[str, str], tools: list[Any]):
    written = next(one for one in WRITTEN if one.family == family)
    text = wrapper[0] + '{"x": 1}' + wrapper[1]
    answer = await say(written, text, tools=tools, think=None, schema={"const": {"x": 1}})
    if answer.calls:  # it may call instead
        assert tools
        assert answer.text == ""
    else:
        assert json.loads(answer.text) == {"x": 1}


@each_family
async def test_without_tools_what_looks_like_a_call_is_text(say: Say, written: Written):
    answer = await say(written, written.broken, tools=[], plain=True)
    assert answer.calls == ()
    assert answer.text == written.broken
