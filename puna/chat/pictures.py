"""Media markers in a message's text."""

from __future__ import annotations

import re

from msgspec.structs import replace

from puna.types import Message

MEDIA_MARKER = "<__media__>"
"""Stands for an image or a sound. libllama adds the family's markers around it (mtmd.h)."""

_NUMBERED = re.compile(r"\[img-(\d{1,4})\]")


def numbered(message: Message) -> Message:
    """`message` with a media marker for each `[img-0]`, `[img-1]` … in its text, as a raw prompt has them.

    Its images are in the order of their markers; those that the text does not name come first
    (Ollama llm/llama_server.go).
    """
    images, placed = message.images, list[int]()

    def marker(tag: re.Match[str]) -> str:
        number = int(tag[1])
        if number >= len(images) or number in placed:
            return tag[0]
        placed.append(number)
        return MEDIA_MARKER

    text = _NUMBERED.sub(marker, message.content)
    order = [number for number in range(len(images)) if number not in placed] + placed
    return replace(message, content=text, images=[images[number] for number in order])


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
