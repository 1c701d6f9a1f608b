"""System messages in the middle of a conversation, where agents put notes ("tokens left: 900").

Notes stay in place, so that the prompt still begins like the earlier one and the prefix cache serves it. They
are system messages if the template renders these in place, otherwise user messages. System messages before
the first answer are not notes: every later prompt has them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile

import msgspec

from puna.errors import PunaError
from puna.types import Message

from .pictures import with_markers

LEADING = ("system", "developer")

_ANSWER, _NOTE = "puna-answer", "puna-note"


def renders_notes_in_place(render: Callable[[list[Message]], str]) -> bool:
    """Whether the template renders a system message after an answer in its place; renders one to test it."""
    turns = (("user", "Hi"), ("assistant", _ANSWER), ("system", _NOTE), ("user", "Hi"))
    try:
        text = render([Message(role=role, content=content) for role, content in turns])
    except PunaError:
        return False
    return 0 <= text.find(_ANSWER) < text.find(_NOTE)


def notes_as_user(given: Iterable[Message]) -> list[Message]:
    """Turns system messages after the first answer into user messages, merged with neighbouring ones."""
    turns: list[Message] = []
    answered = noted = False
    for message in given:
        note = answered and message.role in LEADING
        if note:
            message = msgspec.structs.replace(message, role="user")
        if turns and turns[-1].role == message.role == "user" and (note or noted):
            turns[-1] = merge(turns[-1], message)
        else:
            turns.append(message)
            noted = False
        noted = noted or note
        answered = answered or message.role == "assistant"
    return turns


def before_answers(messages: list[Message]) -> list[Message]:
    """The messages before the model's first answer."""
    return list(takewhile(lambda message: message.role != "assistant", messages))


def merge(first: Message, second: Message) -> Message:
    """Two turns of one role merged."""

    def both(one: str, other: str) -> str:
        return "\n\n".join(filter(None, [one, other]))

    return Message(
        role=first.role,
        content=both(with_markers(first), with_markers(second)),
        thinking=both(first.thinking, second.thinking),
        images=[*first.images, *second.images],
    )
