"""Pictures that would take more memory or time than any is worth, and what reading one loads."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image as pillow

from puna.errors import BadRequest
from puna.inference.pictures import PIXELS, decode_picture
from tests.inference.drawn import chunk, corners, file, png


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
        decode_picture(bomb)


@pytest.mark.skipif(sys.platform != "linux", reason="the peak is in kilobytes on Linux alone")
def test_a_bomb_is_refused_before_it_takes_memory():
    program = (
        "import resource, sys; from puna.inference.pictures import decode_picture\n"
        "from puna.errors import BadRequest\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "def refuse(bomb):\n"
        "    try: decode_picture(bytes.fromhex(bomb))\n"
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
        decode_picture(whole[:33] + bomb + whole[33:])


def test_a_jpeg_that_is_painted_over_and_over_is_refused():
    whole = file(corners(), "JPEG", progressive=True)
    start = whole.rindex(b"\xff\xda")
    with pytest.raises(BadRequest, match="more than 100 scans"):
        decode_picture(whole[:start] + whole[start:-2] * 120 + whole[-2:])


def test_only_the_reader_that_is_needed_is_loaded():
    program = (
        "import sys; from puna.inference.pictures import decode_picture\n"
        "assert 'PIL' not in sys.modules\n"
        "try: decode_picture(b'\\x89PNG\\r\\n\\x1a\\nnothing')\n"
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
