"""Files of pictures become the right pixels, or a refusal that says why; nothing else comes out."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as pillow

from puna.inference.pictures import PIXELS, SIDE, decoded
from puna.types import BadRequest, Image

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


def png(width: int, height: int, depth: int, colour: int, rows: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


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
    image = decoded(file(corners(mode), kind, **options))
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
    image = decoded(png(3, 1, depth, colour, rows))
    assert close([pixel(image, x, 0) for x in range(3)], expected, by=1)


def test_what_is_transparent_is_white_and_what_is_half_so_lies_over_white():
    picture = pillow.new("RGBA", (3, 1))
    picture.putdata([(255, 0, 0, 0), (255, 0, 0, 128), (255, 0, 0, 255)])
    for kind in ("PNG", "WEBP"):
        image = decoded(file(picture, kind, **({"lossless": True, "exact": True} if kind == "WEBP" else {})))
        assert close([pixel(image, x, 0) for x in range(3)], [WHITE, (255, 127, 127), RED], by=1)


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_a_colour_of_the_palette_may_stand_for_transparent(kind: str):
    picture = pillow.new("P", (2, 1))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.putdata([0, 1])
    image = decoded(file(picture, kind, transparency=0))
    assert [pixel(image, 0, 0), pixel(image, 1, 0)] == [WHITE, BLUE]


def test_a_moving_picture_gives_its_first_frame():
    first, second = pillow.new("RGB", (8, 8), RED), pillow.new("RGB", (8, 8), BLUE)
    for kind in ("GIF", "WEBP", "PNG"):
        image = decoded(file(first, kind, save_all=True, append_images=[second], duration=10))
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
    image = decoded(file(corners(), kind, exif=exif, quality=100))
    assert (image.width, image.height) == ((16, 32) if orientation in (5, 6, 7, 8) else (32, 16))
    assert close(quarters(image), upright, by=60)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_exif_that_cannot_be_read_turns_nothing():
    whole = file(
        corners(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff" + b"\x01" * 40, quality=95, subsampling=0
    )
    assert close(quarters(decoded(whole)), [RED, GREEN, BLUE, WHITE])


@pytest.mark.parametrize(("kind", "options"), [("PNG", {}), ("JPEG", {}), ("GIF", {})])
def test_a_long_side_is_scaled_down_and_the_shape_kept(kind: str, options: dict[str, Any]):
    image = decoded(file(corners(size=(SIDE * 2, 200)), kind, **options))
    assert (image.width, image.height) == (SIDE, 100)
    assert close(quarters(image), [RED, GREEN, BLUE, WHITE])


def test_a_line_stays_a_line():
    image = decoded(file(pillow.new("L", (SIDE * 8, 1), 255), "PNG"))
    assert (image.width, image.height, set(image.rgb)) == (SIDE, 1, {255})


def webp_canvas(width: int, height: int) -> bytes:
    """An animation whose canvas is as large as wanted, around one small frame."""
    frame = file(pillow.new("RGB", (16, 16)), "WEBP", lossless=True)[12:]

    def three(number: int) -> bytes:
        return struct.pack("<I", number)[:3]

    def riff(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body

    body = riff(b"VP8X", bytes([2, 0, 0, 0]) + three(width - 1) + three(height - 1)) + riff(b"ANIM", bytes(6))
    body += riff(b"ANMF", bytes(6) + three(15) + three(15) + bytes(4) + frame)
    return riff(b"RIFF", b"WEBP" + body)


def gif_screen(width: int, height: int) -> bytes:
    small = file(pillow.new("P", (4, 4)), "GIF")
    return small[:6] + struct.pack("<HH", width, height) + small[10:]


BOMBS = {
    "png": lambda: png(30_000, 30_000, 8, 2, bytes(1000)),
    "gif": lambda: gif_screen(60_000, 60_000),
    "webp": lambda: webp_canvas(16_000, 16_000),
    "jpeg": lambda: (
        lambda small: small.replace(struct.pack(">HH", 4, 4), struct.pack(">HH", 60_000, 60_000), 1)
    )(file(pillow.new("RGB", (4, 4)), "JPEG")),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused(name: str):
    bomb = BOMBS[name]()
    assert len(bomb) < 3000
    with pytest.raises(BadRequest, match=f"more than {PIXELS // 1_000_000} megapixels"):
        decoded(bomb)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in kilobytes on Linux alone")
def test_a_bomb_is_refused_before_it_takes_memory():
    program = (
        "import resource, sys; from puna.inference.pictures import decoded\n"
        "from puna.types import BadRequest\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def refuse(bomb):\n"
        "    try: decoded(bytes.fromhex(bomb))\n"
        "    except BadRequest: pass\n"
        "bombs = sys.stdin.read().split()\n"
        "before = peak()\n"
        "for bomb in bombs: refuse(bomb)\n"
        "print(peak() - before)\n"
    )
    assert int(run(program, "\n".join(bomb().hex() for bomb in BOMBS.values()))) < 64 << 10


def test_text_in_a_png_that_unfolds_is_a_damaged_file():
    whole = file(corners(), "PNG")
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(80 << 20), 9))
    with pytest.raises(BadRequest, match="the PNG file is damaged"):
        decoded(whole[:33] + bomb + whole[33:])


def test_a_jpeg_that_is_painted_over_and_over_is_refused():
    whole = file(corners(), "JPEG", progressive=True)
    start = whole.rindex(b"\xff\xda")
    with pytest.raises(BadRequest, match="more than 100 scans"):
        decoded(whole[:start] + whole[start:-2] * 120 + whole[-2:])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"hello", "it is not a PNG, JPEG, WebP or GIF image"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "it is audio"),
        (b"ID3\x04\0\0", "it is audio"),
        (b"\xff\xfb\x90\x64", "it is audio"),
        (b"OggS\0\x02", "it is audio"),
        (b"fLaC\0\0\0\x22", "it is audio"),
        (b"\0\0\0\x20ftypM4A ", "it is audio"),
        (b"\0\0\0\x20ftypisom", "it is video"),
        (b"\0\0\0\x1cftypavif", "it is an AVIF image"),
        (b"\0\0\0\x18ftypheic", "it is a HEIF image"),
        (b"II*\0\x08\0\0\0", "it is a TIFF image"),
        (b"BM\x46\0\0\0\0\0\0\0", "it is a BMP image"),
        (b"%PDF-1.7\n", "it is a PDF document"),
        (b"<!DOCTYPE html><title>404</title>", "it is a web page"),
        (b"\xef\xbb\xbf\n <html lang='en'>", "it is a web page"),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "it is an SVG image"),
        (b'<?xml version="1.0"?>\n<!-- drawn -->\n<svg/>', "it is an SVG image"),
        (b"iVBORw0KGgo=", "it is not a PNG"),
    ],
)
def test_what_is_no_picture_is_called_by_its_name(data: bytes, says: str):
    with pytest.raises(BadRequest) as refused:
        decoded(data, "messages[0].images[1]")
    assert str(refused.value).startswith(f'invalid value for "messages[0].images[1]": {says}')


def test_a_refusal_repeats_nothing_of_the_file():
    with pytest.raises(BadRequest) as refused:
        decoded(b"root:x:0:0:secret")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_file_cut_short_is_refused_wherever_it_is_cut(kind: str):
    whole = file(pillow.effect_noise((40, 40), 90).convert("RGB"), kind)
    for length in [*range(12, len(whole) // 2, 37), len(whole) // 2]:
        with pytest.raises(BadRequest, match="damaged or cut short"):
            decoded(whole[:length])


WHOLE = [
    file(corners(), "PNG"),
    file(corners("P"), "PNG"),
    file(corners(), "JPEG"),
    file(corners(), "JPEG", progressive=True),
    file(corners("RGBA"), "WEBP", lossless=True),
    file(corners(), "WEBP"),
    file(corners("P"), "GIF"),
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_file_gives_a_picture_or_a_refusal(data: st.DataObject):
    whole = bytearray(data.draw(st.sampled_from(WHOLE)))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(whole) - 1))
        whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    assert_sound(bytes(whole))


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(
        [
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"\xff\xd8\xff",
            b"GIF89a",
            b"RIFF\x40\0\0\0WEBPVP8 ",
            b"RIFF\x40\0\0\0WEBPVP8X",
        ]
    ),
    st.binary(max_size=200),
)
def test_random_bytes_give_a_picture_or_a_refusal(sign: bytes, rest: bytes):
    assert_sound(sign + rest)


def assert_sound(data: bytes) -> None:
    try:
        image = decoded(data)
    except BadRequest:
        return
    assert 0 < image.width <= SIDE
    assert 0 < image.height <= SIDE
    assert len(image.rgb) == image.width * image.height * 3


def test_only_the_reader_that_is_needed_is_loaded():
    program = (
        "import sys; from puna.inference.pictures import decoded\n"
        "assert 'PIL' not in sys.modules\n"
        "try: decoded(b'\\x89PNG\\r\\n\\x1a\\nnothing')\n"
        "except Exception: pass\n"
        "print(sum(name.endswith('ImagePlugin') for name in sys.modules if name.startswith('PIL.')))\n"
    )
    assert int(run(program)) == 1


def run(program: str, standard_input: str = "") -> str:
    """What a Python of its own prints."""
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=root,
        input=standard_input,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout
