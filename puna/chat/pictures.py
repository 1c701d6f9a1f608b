"""Places a message's images in its text."""

from __future__ import annotations

from puna.types import Message

PICTURE = "<__media__>"
"""Stands for an image; libllama adds the family's begin and end markers around it (mtmd.h)."""


def pictured(message: Message, text: str | None = None, *, gap: str = "") -> str:
    """The message's text, or the given one, with PICTURE for each image: in front unless the text places it.

    `gap` separates images in front from text that does not begin with white space.
    """
    text = message.content if text is None else text
    if not message.images:
        return text
    # A negative count would replace all.
    text = text.replace("[img]", PICTURE, max(0, len(message.images) - text.count(PICTURE)))
    before = PICTURE * (len(message.images) - text.count(PICTURE))
    return before + (gap if before and text and not text[0].isspace() else "") + text
