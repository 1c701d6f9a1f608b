"""A turn's prompt begins with the one before, so that what was evaluated of it is used again."""

from __future__ import annotations

import re
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from puna.chat import Prompt, Template, family_named, go, jinja, renderer
from puna.errors import BadRequest
from puna.types import MediaFile, Message

from .conversations import ANSWER, CALL, WEATHER
from .renderers.asked import NAMES
from .test_jinja_shape import GEMMA, PAIRS

SYSTEM = Message(role="system", content="Be brief.")
FIRST, SECOND, THIRD = (
    Message(role="user", content=f"The {n} question") for n in ("first", "second", "third")
)
SAID, MORE = (Message(role="assistant", content=f"{each} answer.") for each in ("One", "Another"))
NOTE, LATER_NOTE = (Message(role="system", content=f"{n} tokens left") for n in (900, 800))
CALLED = replace(CALL, tool_calls=[{"id": "call00001", **CALL.tool_calls[0]}])
RESULT = replace(ANSWER, tool_call_id="call00001")
THOUGHT, THOUGHTFUL_CALL = replace(SAID, thinking="Hm."), replace(CALLED, thinking="I look.")

TURNS: dict[str, list[list[Message]]] = {
    "questions": [[SYSTEM, FIRST], [SAID, SECOND], [MORE, THIRD]],
    "notes": [[SYSTEM, FIRST], [SAID, NOTE, SECOND], [MORE, LATER_NOTE, THIRD]],
    "notes behind questions": [[SYSTEM, FIRST, NOTE], [SAID, SECOND, LATER_NOTE], [MORE, THIRD]],
    "calls": [[SYSTEM, FIRST], [CALLED, RESULT], [CALLED, RESULT]],
    "notes behind results": [[SYSTEM, FIRST], [CALLED, RESULT, NOTE], [CALLED, RESULT, LATER_NOTE]],
    "calls and a question": [[SYSTEM, FIRST, CALLED, RESULT], [SAID, SECOND], [MORE, THIRD]],
    "thoughts": [[SYSTEM, FIRST], [THOUGHT, SECOND], [THOUGHT, THIRD]],
    "thoughts before calls": [[SYSTEM, FIRST], [THOUGHTFUL_CALL, RESULT], [THOUGHTFUL_CALL, RESULT]],
}
FORGETTING = {("glm-4.6", "calls and a question"), ("qwen3.5", "calls and a question")}
"""With a new question the form takes the thinking out of the calls before it, if only its empty tags."""

CHATML = "{% for m in messages %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>"
FIRST_ONLY = (
    "{% for m in messages %}{% if m.role == 'system' and not loop.first %}{{ raise_exception('first') }}"
    "{% endif %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>"
)
FRONT = (
    "{% for m in messages if m.role == 'system' %}{{ m.content }} {% endfor %}"
    "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{{ m.content }}</>{% endfor %}<assistant>"
)


def prompts(template: Template, turns: list[list[Message]], **more: Any) -> list[str]:
    """Each turn's prompt."""
    ends = range(1, len(turns) + 1)
    return [template.render(Prompt(messages=[*chain(*turns[:end])], **more)) for end in ends]


def stable(found: list[str]) -> bool:
    """Each prompt begins with the one before, up to where that one opens the model's turn."""
    said = [message.content for message in (FIRST, SECOND, THIRD, NOTE, LATER_NOTE, RESULT)]
    return all(
        after.startswith(before[: max(before.rfind(text) + len(text) for text in said if text in before)])
        for before, after in pairwise(found)
    )


@pytest.mark.parametrize("asked", TURNS)
@pytest.mark.parametrize("name", NAMES)
def test_every_family_goes_on_where_it_was(name: str, asked: str) -> None:
    tools = [WEATHER] if "calls" in asked or "results" in asked else None
    think = True if "thoughts" in asked else None
    found = prompts(renderer(name), TURNS[asked], tools=tools, think=think)
    assert stable(found) == ((name, asked) not in FORGETTING)


def once(name: str, answer: Message, then: Message, *, think: bool) -> bool:
    """Whether the next turn's prompt begins with this one's and all of its answer, as the model said it."""
    tools = [WEATHER] if answer.tool_calls else None
    before, after = prompts(renderer(name), [[SYSTEM, FIRST], [answer, then]], tools=tools, think=think)
    said = after[len(before) : after.find(then.content)]
    return after.startswith(before) and all(text in said for text in (answer.thinking, answer.content))


def from_turn_to_turn(name: str) -> tuple[str, str, str]:
    """What becomes of an answer: one without reasoning, one with it, and a call with it."""
    found = family_named(name)
    assert found is not None
    variant = found[1]
    again = {True: "once", False: "again"}
    return (
        again[once(name, SAID, SECOND, think=False)],
        again[once(name, THOUGHT, SECOND, think=True)] if variant.thinks else "",
        again[once(name, THOUGHTFUL_CALL, RESULT, think=True)] if variant.thinks and variant.tools else "",
    )


def test_the_page_says_which_answers_are_evaluated_again() -> None:
    """docs/chat.md has a row for each form, or for several that do the same."""
    page = Path(__file__).parents[2].joinpath("docs", "chat.md").read_text()
    rows = re.findall(
        r"^\| (.+?) \| (once|again)? *\| (once|again)? *\| (once|again)? *\|$", page, re.MULTILINE
    )
    told = {name.strip("`"): tuple(words) for names, *words in rows for name in names.split(", ")}
    assert told == {name: from_turn_to_turn(name) for name in NAMES}


def test_the_same_day_and_tools_give_the_same_prompt() -> None:
    """What a template says of the date, and the tools in front, are the next turn's too."""
    source = "{{ strftime_now('%d %B %Y') }}{% for tool in tools or [] %}{{ tool.function.name }}{% endfor %}"
    found = prompts(jinja(source + CHATML, bos="", eos=""), TURNS["questions"], tools=[WEATHER])
    assert stable(found)
    assert "get_weather<system>" in found[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_stays_where_its_message_is(name: str) -> None:
    seen = replace(FIRST, images=[MediaFile(b"1")])
    try:
        found = prompts(renderer(name), [[SYSTEM, seen], [SAID, SECOND], [MORE, THIRD]])
    except BadRequest:  # it takes none
        return
    assert stable(found)


@pytest.mark.parametrize("source", [CHATML, FIRST_ONLY, FRONT, GEMMA, PAIRS])
@pytest.mark.parametrize("asked", ["questions", "notes", "notes behind questions"])
def test_a_template_goes_on_where_it_was(source: str, asked: str) -> None:
    found = prompts(jinja(source, bos="", eos=""), TURNS[asked])
    assert stable(found)
    for text in ["Be brief.", *(["900 tokens", "800 tokens"] if "notes" in asked else [])]:
        assert found[-1].count(text) == 1


@pytest.mark.parametrize("name", NAMES)
def test_no_note_is_lost(name: str) -> None:
    text = prompts(renderer(name), TURNS["notes"])[-1]
    assert text.index("One answer.") < text.index("900 tokens") < text.index("Another answer.")
    assert text.count("900 tokens") == text.count("800 tokens") == 1


def test_a_note_is_the_systems_where_the_template_says_so() -> None:
    _, text, _ = prompts(jinja(CHATML, bos="", eos=""), TURNS["notes"])
    assert "</><system>900 tokens left</><user>The second question</><assistant>" in text
    _, text, _ = prompts(jinja(FIRST_ONLY, bos="", eos=""), TURNS["notes"])
    assert "</><user>900 tokens left\n\nThe second question</><assistant>" in text


ALL_SAID = "{{ .System }}{{ range .Messages }}<{{ .Role }}>{{ .Content }}</>{{ end }}"
SYSTEM_IN_FRONT = (
    '{{ .System }}{{ range .Messages }}{{ if ne .Role "system" }}<{{ .Role }}>{{ .Content }}</>'
    "{{ end }}{{ end }}"
)
EXCHANGES = "{{ if .System }}[{{ .System }}]{{ end }}<{{ .Prompt }}>{{ .Response }}"


def test_a_go_template_puts_in_front_only_what_it_cannot_say_elsewhere() -> None:
    assert stable(prompts(go(ALL_SAID), TURNS["notes"]))
    assert stable(prompts(go(EXCHANGES), TURNS["notes"]))
    text = prompts(go(SYSTEM_IN_FRONT), TURNS["notes"])[-1]
    assert text.startswith("Be brief.\n\n900 tokens left\n\n800 tokens left<user>")
