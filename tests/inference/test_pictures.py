"""Files of pictures become the right pixels."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from PIL import Image as pillow

from puna.inference.pictures import SIDE, decode_picture
from tests.inference.drawn import BLUE, GREEN, RED, WHITE, close, corners, file, pixel, png, quarters


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("PNG", "P", {}),
        ("JPEG", "RGB", {"quality": 95, "subsampling": 0}),
        ("JPEG", "RGB", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("JPEG", "CMYK", {"quality": 95}),
        ("WEBP", "RGB", {"lossless": True}),
        ("WEBP", "RGB", {"quality": 100}),
        ("GIF", "P", {}),
    ],
)
def test_each_kind_of_file_gives_its_pixels(kind: str, mode: str, options: dict[str, Any]):
    image = decode_picture(file(corners(mode), kind, **options))
    assert (image.width, image.height, len(image.rgb)) == (32, 16, 32 * 16 * 3)
    assert close(quarters(image), [RED, GREEN, BLUE, WHITE], by=60 if options.get("quality") == 100 else 12)


@pytest.mark.parametrize(
    ("depth", "colour", "rows", "expected"),
    [
        (16, 0, b"\0" + struct.pack(">HHH", 0, 0x8000, 0xFFFF), [(0,) * 3, (128,) * 3, (255,) * 3]),
        (
            16,
            2,
            b"\0" + struct.pack(">9H", 0xFFFF, 0, 0, 0, 0xFFFF, 0, 0, 0, 0x8000),
            [RED, GREEN, (0, 0, 128)],
        ),
        (16, 4, b"\0" + struct.pack(">6H", 0, 0xFFFF, 0, 0, 0x8000, 0xFFFF), [(0,) * 3, WHITE, (128,) * 3]),
        (1, 0, b"\0\xa0", [WHITE, (0,) * 3, WHITE]),
    ],
    ids=["grey-16", "rgb-16", "grey-alpha-16", "bits"],
)
def test_a_png_of_any_depth_becomes_eight_bits(
    depth: int, colour: int, rows: bytes, expected: list[tuple[int, ...]]
):
    image = decode_picture(png(3, 1, depth, colour, rows))
    assert close([pixel(image, x, 0) for x in range(3)], expected, by=1)


def test_an_interlaced_png_with_sixteen_bits_of_alpha():
    image = decode_picture(
        png(1, 1, 16, 6, b"\0" + struct.pack(">4H", 0xFFFF, 0, 0, 0x8000), interlaced=True)
    )
    assert close([pixel(image, 0, 0)], [(255, 127, 127)], by=1)


def test_what_is_transparent_is_white_and_what_is_half_so_lies_over_white():
    picture = pillow.new("RGBA", (3, 1))
    picture.putdata([(255, 0, 0, 0), (255, 0, 0, 128), (255, 0, 0, 255)])
    for kind in ("PNG", "WEBP"):
        image = decode_picture(
            file(picture, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {}))
        )
        assert close([pixel(image, x, 0) for x in range(3)], [WHITE, (255, 127, 127), RED], by=1)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_colour_of_the_palette_may_stand_for_transparent(kind: str):
    picture = pillow.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    image = decode_picture(file(picture, kind, transparency=0))
    assert [pixel(image, 0, 0), pixel(image, 1, 0)] == [WHITE, BLUE]


def test_a_moving_picture_gives_its_first_frame():
    first, second = pillow.new("RGB", (8, 8), RED), pillow.new("RGB", (8, 8), BLUE)
    for kind in ("GIF", "WEBP", "PNG"):
        image = decode_picture(file(first, kind, save_all=True, append_images=[second], duration=10))
        assert close([pixel(image, 4, 4)], [RED])


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, [RED, GREEN, BLUE, WHITE]),
        (2, [GREEN, RED, WHITE, BLUE]),
        (3, [WHITE, BLUE, GREEN, RED]),
        (4, [BLUE, WHITE, RED, GREEN]),
        (5, [RED, BLUE, GREEN, WHITE]),
        (6, [BLUE, RED, WHITE, GREEN]),
        (7, [WHITE, GREEN, BLUE, RED]),
        (8, [GREEN, WHITE, RED, BLUE]),
        (99, [RED, GREEN, BLUE, WHITE]),
    ],
)
def test_a_picture_is_turned_as_exif_says(kind: str, orientation: int, upright: list[tuple[int, ...]]):
    exif = pillow.Exif()
    exif[0x0112] = orientation
    image = decode_picture(file(corners(), kind, exif=exif, quality=100))
    assert (image.width, image.height) == ((16, 32) if orientation in (5, 6, 7, 8) else (32, 16))
    assert close(quarters(image), upright, by=60)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_exif_that_cannot_be_read_turns_nothing():
    whole = file(
        corners(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\x01" * 40, quality=95, subsampling=0
    )
    assert close(quarters(decode_picture(whole)), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {}), ("GIF", {})])
def test_a_long_side_is_scaled_down_and_the_shape_kept(kind: str, options: dict[str, Any]):
    image = decode_picture(file(corners(size=(SIDE * 2, 200)), kind, **options))
    assert (image.width, image.height) == (SIDE, 100)
    assert close(quarters(image), [RED, GREEN, BLUE, WHITE])


def test_a_line_stays_a_line():
    image = decode_picture(file(pillow.new("L", (SIDE * 8, 1), 255), "PNG"))
    assert (image.width, image.height, set(image.rgb)) == (SIDE, 1, {255})
