"""Kinds of pictures and sounds, recognised by a file's first bytes."""

from __future__ import annotations

import re

from puna.errors import InvalidField

IMAGES = {
    "PNG": rb"\x89PNG\r\n\x1a\n",
    "JPEG": rb"\xff\xd8\xff",
    "GIF": rb"GIF8[79]a",
    "WebP": rb"RIFF....WEBP",
}
"""Supported kinds, each with a pattern of a file's first bytes."""
SOUNDS = {"WAV": rb"RIFF....WAVE", "FLAC": rb"fLaC", "MP3": rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]"}
"""Supported kinds, as in IMAGES."""
ALL_SOUNDS = SOUNDS | {
    "Ogg audio": rb"OggS",
    "AIFF audio": rb"FORM....AIF[FC]",
    "AMR audio": rb"#!AMR",
    "MPEG-4 audio": rb"....ftypM4[AB]",
    "AAC audio": rb"\xff[\xf0\xf1\xf8\xf9]",
    "MPEG audio of another layer": rb"\xff[\xf4-\xf7\xfc\xfd]",
}
_ALL = (
    IMAGES
    | ALL_SOUNDS
    | {
        "an AVIF image": rb"....ftypavi[fs]",
        "a HEIF image": rb"....ftyp(?:hei|hev|mif1|msf1)",
        "video": rb"....ftyp|\x1aE\xdf\xa3|RIFF....AVI ",
        "a TIFF image": rb"II\*\0|MM\0\*",
        "a BMP image": rb"BM.{4}\0{4}",
        "a PDF document": rb"%PDF-",
        "an SVG image": rb"(?i:(?:\xef\xbb\xbf)?\s*(?:<[?!].*)?<svg)",
        "a web page": rb"(?i:(?:\xef\xbb\xbf)?\s*(?:<!--.*)?<(?:!doctype html|html|head|body))",
    }
)

LONGEST_START = 12
"""Bytes that identify a supported kind."""
_HEAD = 512
"""Bytes that identify any kind."""


def kind_of(data: bytes | bytearray, kinds: dict[str, bytes]) -> str | None:
    """The file's kind among `kinds`; None for any other."""
    head = data[:_HEAD]
    return next((kind for kind, start in kinds.items() if re.match(start, head, re.DOTALL)), None)


def check_kind(data: bytes, kinds: dict[str, bytes], wanted: str, field: str) -> str:
    """The file's kind among `kinds`. Raises BadRequest for `field` if it is not `wanted`."""
    if not data:
        raise InvalidField(field, "it is empty")
    if kind := kind_of(data, kinds):
        return kind
    other = kind_of(data, _ALL)
    raise InvalidField(field, f"it is {other}, not {wanted}" if other else f"it is not {wanted}")
