"""The images and audio of one request, decoded for the engine."""

from __future__ import annotations

import asyncio

from puna.errors import BadRequest
from puna.inference.pictures import decoded
from puna.inference.sounds import LONGEST, is_sound, sound
from puna.types import Image, MediaFile, Sound

_MOST_PIXELS = 512 << 20
"""Bytes that the pictures of one request may take when they are decoded."""


class Media:
    """Decodes each file once."""

    def __init__(self) -> None:
        self._decoded: dict[int, Image | Sound] = {}
        """By the identity of the file, which its request keeps."""

    async def check(self, files: list[MediaFile]) -> None:
        """Decode the newest files, as many as a request may have. Raises BadRequest naming a damaged one.

        Older ones may be cut with their messages.
        """
        pixels = 0
        for file in reversed(files):
            made = await self._one(file)
            pixels += len(made.rgb) if isinstance(made, Image) else 0
            if pixels > _MOST_PIXELS:
                return

    async def taken(self, files: list[MediaFile]) -> tuple[Image | Sound, ...]:
        """The files, decoded. Raises BadRequest naming a damaged one, or when they are too much together."""
        media: list[Image | Sound] = []
        pixels, seconds = 0, 0.0
        for file in files:
            made = await self._one(file)
            media.append(made)
            if isinstance(made, Sound):
                seconds += made.seconds
            else:
                pixels += len(made.rgb)
            if pixels > _MOST_PIXELS:
                raise BadRequest(
                    "the images of this request are too large together: send fewer, or smaller ones", "images"
                )
            if seconds > LONGEST:
                raise BadRequest(
                    f"the sounds of this request are longer than {LONGEST // 60} minutes together", "images"
                )
        return tuple(media)

    async def _one(self, file: MediaFile) -> Image | Sound:
        known = self._decoded.get(id(file))
        if known is None:
            read = sound if is_sound(file.data) else decoded
            known = self._decoded[id(file)] = await asyncio.to_thread(read, file.data, file.field)
        return known
