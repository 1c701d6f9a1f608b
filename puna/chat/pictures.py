"""Where a message's pictures belong in its text."""

from __future__ import annotations

from puna.types import Message

PICTURE = "<__media__>"
"""Stands for a picture; libllama puts the family's own begin and end of a picture around it (mtmd.h)."""


def pictured(message: Message, text: str | None = None, *, gap: str = "") -> str:
    """The message's text, or this one, with PICTURE for each image: in front unless the text places it.

    `gap` is what stands between pictures in front and text that does not begin with white space.
    """
    text = message.content if text is None else text
    if not message.images:
        return text
    # A negative count would mean all.
    text = text.replace("[img]", PICTURE, max(0, len(message.images) - text.count(PICTURE)))
    before = PICTURE * (len(message.images) - text.count(PICTURE))
    return before + (gap if before and text and not text[0].isspace() else "") + text
