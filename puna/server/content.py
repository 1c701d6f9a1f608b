"""A message's content as text, images and audio, assembled the same way for every dialect."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence

import msgspec

from puna.chat import MEDIA_MARKER
from puna.errors import InvalidField
from puna.inference import check_sound
from puna.server.encoded import from_base64, from_data_url, is_data_url
from puna.server.remote import Remote
from puna.types import MediaFile

_FETCHED = re.compile(r"https?://", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


class Url(msgspec.Struct, frozen=True):
    """An image or audio file at a URL."""

    url: str
    field: str
    """The request's field."""
    sound: bool = False
    """It must be a sound."""


async def assemble(parts: Sequence[str | MediaFile | Url], remote: Remote) -> tuple[str, list[MediaFile]]:
    """The text, with MEDIA_MARKER for each file, and the files in order.

    Joins adjacent texts with a newline. Raises BadRequest when a file cannot be fetched.
    """
    text, before = "", None
    for part in parts:
        if not isinstance(part, str):
            text += MEDIA_MARKER
        else:
            text += ("\n" if isinstance(before, str) else "") + escape_markers(part)
        before = part
    return text, await _files([part for part in parts if not isinstance(part, str)], remote)


def escape_markers(text: str) -> str:
    """A user's text with each media marker broken by a space."""
    return text.replace(MEDIA_MARKER, f"{MEDIA_MARKER[:-1]} {MEDIA_MARKER[-1]}")


def picture(text: str, field: str) -> MediaFile | Url:
    """An image as base64, a data: URL, or an http(s) URL that `assemble` fetches.

    Accepts audio, too. Raises BadRequest for `field`.
    """
    text = text.strip()
    if _FETCHED.match(text):
        return Url(text, field)
    if is_data_url(text):
        return MediaFile(from_data_url(text, field), field)
    if _SCHEME.match(text):
        raise InvalidField(field, "only http, https and data URLs are read")
    return MediaFile(from_base64(text, field), field)


def sound(text: str, field: str) -> MediaFile | Url:
    """Like `picture`, but only for audio."""
    found = picture(text, field)
    if isinstance(found, Url):
        return Url(found.url, field, sound=True)
    check_sound(found.data, field)
    return found


async def _files(media: Sequence[MediaFile | Url], remote: Remote) -> list[MediaFile]:
    """All files, fetched concurrently; the first failure cancels the rest."""

    async def file(medium: MediaFile | Url) -> MediaFile:
        if not isinstance(medium, Url):
            return medium
        fetched = await remote.fetch(medium.url, medium.field)
        if medium.sound:
            check_sound(fetched, medium.field)
        return MediaFile(fetched, medium.field)

    tasks = [asyncio.ensure_future(file(medium)) for medium in media]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
