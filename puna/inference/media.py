"""The images and audio of one request, decoded for the engine."""

from __future__ import annotations

import asyncio

from puna.errors import BadRequest
from puna.inference.pictures import decode_picture
from puna.inference.sounds import LONGEST, is_sound, sound
from puna.types import Image, MediaFile, Sound

_MAX_PIXEL_BYTES = 512 << 20
"""Of all decoded pictures of one request."""


class Media:
    """Decodes each file once."""

    def __init__(self) -> None:
        self._decoded: dict[int, Image | Sound] = {}
        """By the id() of the file, which the request keeps alive."""

    async def check(self, files: list[MediaFile]) -> None:
        """Decode the newest files, up to a request's limit. Raises BadRequest for a damaged one.

        Older ones may be dropped with their messages.
        """
        pixels = 0
        for file in reversed(files):
            made = await self.one(file)
            pixels += len(made.rgb) if isinstance(made, Image) else 0
            if pixels > _MAX_PIXEL_BYTES:
                return

    async def decode(self, files: list[MediaFile]) -> tuple[Image | Sound, ...]:
        """The decoded files. Raises BadRequest for a damaged one, or if they are too large together."""
        media: list[Image | Sound] = []
        pixels, seconds = 0, 0.0
        for file in files:
            made = await self.one(file)
            media.append(made)
            if isinstance(made, Sound):
                seconds += made.seconds
            else:
                pixels += len(made.rgb)
            if pixels > _MAX_PIXEL_BYTES:
                raise BadRequest(
                    "the images of this request are too large together: send fewer, or smaller ones", "images"
                )
            if seconds > LONGEST:
                raise BadRequest(
                    f"the sounds of this request are longer than {LONGEST // 60} minutes together", "images"
                )
        return tuple(media)

    async def one(self, file: MediaFile) -> Image | Sound:
        """The decoded file. Raises BadRequest for a damaged one."""
        known = self._decoded.get(id(file))
        if known is None:
            read = sound if is_sound(file.data) else decode_picture
            known = self._decoded[id(file)] = await asyncio.to_thread(read, file.data, file.field)
        return known
