"""Numbered places of images in a raw prompt."""

from __future__ import annotations

import pytest

from puna.chat import MEDIA_MARKER, numbered, with_markers
from puna.types import MediaFile, Message

IMAGES = [MediaFile(b"a"), MediaFile(b"b"), MediaFile(b"c")]


@pytest.mark.parametrize(
    ("said", "text", "order"),
    [
        ("[img-0]x[img-1]y[img-2]", "*x*y*", b"abc"),
        ("[img-2]x[img-0]y[img-1]", "*x*y*", b"cab"),
        ("x[img-1]", "**x*", b"acb"),
        ("x[img-1][img-1][img-9]", "**x*[img-1][img-9]", b"acb"),
        ("x[img]y", "**x*y", b"abc"),
        ("x", "***x", b"abc"),
    ],
)
def test_each_image_is_where_its_number_is(said: str, text: str, order: bytes) -> None:
    found = numbered(Message(role="user", content=said, images=IMAGES))
    assert with_markers(found).replace(MEDIA_MARKER, "*") == text
    assert b"".join(image.data for image in found.images) == order
