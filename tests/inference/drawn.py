"""Files of small pictures, and the pixels that are read from them."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Any

from PIL import Image as pillow

from puna.types import Image

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def corners(mode: str = "RGB", size: tuple[int, int] = (32, 16)) -> pillow.Image:
    """Red, green, blue and white quarters, row after row."""
    picture = pillow.new("RGB", size)
    width, height = size[0] // 2, size[1] // 2
    for at, colour in enumerate((RED, GREEN, BLUE, WHITE)):
        picture.paste(
            colour, (at % 2 * width, at // 2 * height, at % 2 * width + width, at // 2 * height + height)
        )
    return picture.convert(mode)


def file(picture: pillow.Image, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    picture.save(out, kind, **options)
    return out.getvalue()


def quarters(image: Image) -> list[tuple[int, ...]]:
    """The colours in the middle of the four quarters."""
    return [
        pixel(image, image.width * (1 + 2 * column) // 4, image.height * (1 + 2 * row) // 4)
        for row in range(2)
        for column in range(2)
    ]


def pixel(image: Image, x: int, y: int) -> tuple[int, ...]:
    at = (y * image.width + x) * 3
    return tuple(image.rgb[at : at + 3])


def close(found: list[tuple[int, ...]], expected: list[tuple[int, ...]], by: int = 12) -> bool:
    return all(
        abs(a - b) <= by
        for one, other in zip(found, expected, strict=True)
        for a, b in zip(one, other, strict=True)
    )


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *, interlaced: bool = False) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
