"""Cutting a conversation to the context: the oldest go, the system's words and the last message stay."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.chat import Prompt, Template, fit, go, jinja, render
from puna.errors import BadRequest
from puna.types import Message

from .conversations import chat

TEMPLATE = go("{{ range .Messages }}{{ .Role }} {{ .Content }} {{ end }}")


class Counter:
    """Counts words, and how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, text: str) -> int:
        self.asked += 1
        return len(text.split())


async def cut(prompt: Prompt, num_ctx: int, template: Template = TEMPLATE) -> tuple[str, int]:
    counter = Counter()
    text, _ = await fit(template, prompt, counter, num_ctx)
    return text, counter.asked


def turns(number: int) -> list[str]:
    return [f"{'assistant' if n % 2 else 'user'}: w{n}" for n in range(number)]


async def test_what_fits_is_counted_once_and_what_must_fit_never() -> None:
    prompt = chat(*turns(5))
    whole = TEMPLATE.render(prompt)
    assert await cut(prompt, len(whole) + 1) == (whole, 0)
    assert await cut(prompt, len(whole.split())) == (whole, 1)


async def test_the_oldest_go_first_and_the_system_stays() -> None:
    prompt = chat("system: S", "user: a", "assistant: b", "system: T", "user: c")
    assert (await cut(prompt, 8))[0] == "system S assistant b system T user c "
    assert (await cut(prompt, 6))[0] == "system S\n\nT user c "


async def test_the_last_message_stays_even_when_it_alone_is_too_long() -> None:
    long = " ".join(["word"] * 50)
    assert (await cut(chat("user: a", "assistant: b", f"user: {long}"), 10))[0] == f"user {long} "
    assert (await cut(chat(f"user: {long}"), 10))[0] == f"user {long} "
    assert (await cut(Prompt(), 10))[0] == ""


async def test_few_counts_are_needed() -> None:
    text, asked = await cut(chat(*turns(200)), 100)
    assert text.split()[-1] == "w199"
    assert len(text.split()) == 100
    assert asked <= 9


roles = st.sampled_from(["system", "user", "assistant", "tool"])
messages = st.lists(
    st.builds(
        lambda role, size: Message(role=role, content=" ".join(["x"] * size)), roles, st.integers(0, 8)
    ),
    max_size=12,
)


@settings(deadline=None)
@given(messages, st.integers(1, 60))
async def test_the_same_as_trying_every_cut(given_messages: list[Message], num_ctx: int) -> None:
    def words(start: int) -> str:
        system = [message for message in given_messages[:start] if message.role == "system"]
        return TEMPLATE.render(Prompt(messages=system + given_messages[start:]))

    starts = range(len(given_messages) or 1)
    fitting = [start for start in starts if len(words(start).split()) <= num_ctx]
    expected = words(fitting[0] if fitting else starts[-1])
    assert (await cut(Prompt(messages=given_messages), num_ctx))[0] == expected


ALTERNATING = """{% for m in messages %}{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}\
{{ raise_exception('roles must alternate') }}{% endif %}{{ m.role }} {{ m.content }} {% endfor %}"""


async def test_a_template_that_must_begin_with_a_question_gets_one() -> None:
    template = jinja(ALTERNATING, bos="", eos="")
    text, _ = await cut(chat(*turns(9)), 9, template)
    assert text == "user w6 assistant w7 user w8 "


async def test_a_conversation_that_the_template_refuses_stays_refused() -> None:
    template = jinja(ALTERNATING, bos="", eos="")
    with pytest.raises(BadRequest, match="roles must alternate"):
        await cut(chat("assistant: a", "user: b"), 1000, template)


async def test_what_cannot_fit_is_not_counted_to_see_it() -> None:
    text, asked = await cut(chat(*(f"user: {'x' * 1000}" for _ in range(1000)), "user: w"), 50)
    assert text.endswith("w ")
    assert asked <= 2


class Located:
    """A template that tells in which thread it was rendered."""

    names: frozenset[str] = frozenset()

    def render(self, prompt: Prompt) -> str:
        return str(threading.get_ident())


@pytest.mark.parametrize(
    ("prompt", "apart"),
    [(chat("user: Hello"), False), (chat("user: " + "word " * 10_000), True), (chat(*turns(99)), True)],
)
async def test_a_long_conversation_does_not_hold_up_other_answers(prompt: Prompt, apart: bool) -> None:
    assert (await render(Located(), prompt) != str(threading.get_ident())) is apart
