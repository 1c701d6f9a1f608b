"""Media markers in a message's text."""

from __future__ import annotations

from puna.types import Message

MEDIA_MARKER = "<__media__>"
"""Stands for an image or a sound. libllama adds the family's markers around it (mtmd.h)."""


def with_markers(message: Message, text: str | None = None, *, gap: str = "") -> str:
    """The message's text, or `text`, with a media marker for each image.

    Missing markers come first. `gap` separates them from text that does not begin with white space.
    """
    text = message.content if text is None else text
    if not message.images:
        return text
    # Not negative, because str.replace would then replace all.
    text = text.replace("[img]", MEDIA_MARKER, max(0, len(message.images) - text.count(MEDIA_MARKER)))
    before = MEDIA_MARKER * (len(message.images) - text.count(MEDIA_MARKER))
    return before + (gap if before and text and not text[0].isspace() else "") + text
