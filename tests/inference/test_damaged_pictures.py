"""What is no picture, or only a part of one, is refused with the reason; nothing else comes out."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as pillow

from puna.errors import BadRequest
from puna.inference.pictures import SIDE, decode_picture
from tests.inference.drawn import corners, file, png


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"hello", "it is not a PNG, JPEG, WebP or GIF image"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "it is WAV"),
        (b"ID3\x04\0\0", "it is MP3"),
        (b"\xff\xfb\x90\x64", "it is MP3"),
        (b"\xff\xfeh\0i\0", "it is not a PNG, JPEG"),
        (b"OggS\0\x02", "it is Ogg audio"),
        (b"fLaC\0\0\0\x22", "it is FLAC"),
        (b"\0\0\0\x20ftypM4A ", "it is MPEG-4 audio"),
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
        decode_picture(data, "messages[0].images[1]")
    assert str(refused.value).startswith(f'invalid value for "messages[0].images[1]": {says}')


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_a_picture_of_nothing_is_a_damaged_file(size: tuple[int, int]):
    with pytest.raises(BadRequest, match="the PNG file is damaged"):
        decode_picture(png(*size, 8, 2, bytes(5)))


def test_a_refusal_repeats_nothing_of_the_file():
    with pytest.raises(BadRequest) as refused:
        decode_picture(b"root:x:0:0:secret")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_file_cut_short_is_refused_wherever_it_is_cut(kind: str):
    whole = file(pillow.effect_noise((40, 40), 90).convert("RGB"), kind)
    for length in [*range(12, len(whole) // 2, 37), len(whole) // 2]:
        with pytest.raises(BadRequest, match="damaged or cut short"):
            decode_picture(whole[:length])


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
        image = decode_picture(data)
    except BadRequest:
        return
    assert 0 < image.width <= SIDE
    assert 0 < image.height <= SIDE
    assert len(image.rgb) == image.width * image.height * 3
