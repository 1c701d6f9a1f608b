"""System messages in the middle of a conversation, which agents put there for a note ("tokens left: 900").

What was evaluated of a prompt is used again as far as the next prompt begins like it. So these messages stay
where they are: as such where a template says them there, else as text of the user's. Those before the first
answer are the template's to place, because every later turn has them, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import takewhile

import msgspec

from puna.errors import PunaError
from puna.types import Message

from .pictures import pictured

LEADING = ("system", "developer")

_ANSWER, _NOTE = "puna-answer", "puna-note"


def stays_in_place(render: Callable[[list[Message]], str]) -> bool:
    """Whether a system message behind an answer shows there, found out by rendering one."""
    turns = (("user", "Hi"), ("assistant", _ANSWER), ("system", _NOTE), ("user", "Hi"))
    try:
        text = render([Message(role=role, content=content) for role, content in turns])
    except PunaError:
        return False
    return 0 <= text.find(_ANSWER) < text.find(_NOTE)


def renders_in_place(given: Iterable[Message]) -> list[Message]:
    """System messages behind the first answer as the user's, one turn with those of the user beside them."""
    turns: list[Message] = []
    answered = noted = False
    for message in given:
        note = answered and message.role in LEADING
        if note:
            message = msgspec.structs.replace(message, role="user")
        if turns and turns[-1].role == message.role == "user" and (note or noted):
            turns[-1] = joined(turns[-1], message)
        else:
            turns.append(message)
            noted = False
        noted = noted or note
        answered = answered or message.role == "assistant"
    return turns


def before_answers(messages: list[Message]) -> list[Message]:
    """The messages before the model's first."""
    return list(takewhile(lambda message: message.role != "assistant", messages))


def joined(first: Message, second: Message) -> Message:
    """Two turns of one role as one."""

    def both(one: str, other: str) -> str:
        return "\n\n".join(filter(None, [one, other]))

    return Message(
        role=first.role,
        content=both(pictured(first), pictured(second)),
        thinking=both(first.thinking, second.thinking),
        images=[*first.images, *second.images],
    )
