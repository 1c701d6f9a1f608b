"""Files of sounds: what tells them apart, how long they are, and what is left of a hostile one."""

from __future__ import annotations

import io
import struct
import wave
from base64 import b85decode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.errors import BadRequest
from puna.inference.sounds import LONGEST, check_sound, is_sound, sound
from tests.hearing_models import RATE, float_wav, silent_mp3, tone, wav

FRAME = 1152 / 44_100
"""Seconds of a frame of `silent_mp3`."""
EXTENSION = struct.pack("<HHIH", 22, 16, 0, 1) + bytes(14)
FLAC = b85decode(
    "W=vs20000Y5C9MW000XB01X4^0Pp|+K7cYX1|`gHBAR1Y8id|kf$xL>04N{;0044jW@U0^ZewL2Y-wUfOhH2+F)lPNGaxcBGBYqXGBW@G"
    "0095^#Rvdz0U&*(PyhJE2mxpTAbrR;|M<lS0$~9leSE+F_;m;a4u9qWAbpd#"
)
NAMED = 'invalid value for "images": '


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body


def riff(*chunks: bytes) -> bytes:
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks))


def pcm(tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16, more: bytes = b"") -> bytes:
    width = channels * bits // 8
    head = struct.pack("<HHIIHH", tag, channels, rate, (rate * width) & 0xFFFFFFFF, width & 0xFFFF, bits)
    return chunk(b"fmt ", head + more)


def flac(claimed: int = RATE, rate: int = RATE) -> bytes:
    """A second in which every sample is 1000, from a file that claims to have others."""
    head = RATE << 44 | 15 << 36 | RATE
    assert FLAC[18:26] == head.to_bytes(8, "big")
    return FLAC[:18] + (rate << 44 | 15 << 36 | claimed).to_bytes(8, "big") + FLAC[26:]


def id3(body: bytes) -> bytes:
    size = len(body)
    return b"ID3\4\0\0" + bytes([size >> 21 & 127, size >> 14 & 127, size >> 7 & 127, size & 127]) + body


def refusal(data: bytes) -> str:
    with pytest.raises(BadRequest) as refused:
        sound(data)
    return str(refused.value)


@pytest.mark.parametrize(
    ("data", "seconds"),
    [
        (wav(tone(440, 0.25)), 0.25),
        (wav(tone(440, 1), rate=8000), 2),
        (wav(tone(440, 1), channels=2), 0.5),
        (float_wav(np.zeros(RATE)), 1),
        (wav(tone(440, 2), rate=96_000), 1 / 3),
        (riff(pcm(0xFFFE, more=EXTENSION), chunk(b"data", bytes(RATE))), 0.5),
        (riff(chunk(b"LIST", b"odd"), b"\0", pcm(7, bits=8), chunk(b"data", bytes(RATE))), 1),
        # Written into a pipe: nobody knew how long it would be.
        (riff(pcm(), chunk(b"data", bytes(RATE), 0xFFFFFFFF)), 0.5),
        (silent_mp3(40), 40 * FRAME),
        (id3(bytes(5000)) + silent_mp3(40) + b"TAG" + bytes(125), 40 * FRAME),
        # A frame after something else is how the decoder finds its way again.
        (silent_mp3(20) + bytes(100) + silent_mp3(20), 39 * FRAME),
        (flac(), 1),
        (flac(0), 1),
        (flac(2**36 - 1), 1),
    ],
)  # fmt: skip
def test_a_sound_is_as_long_as_it_is(data: bytes, seconds: float):
    assert is_sound(data)
    check_sound(data, "images")
    assert sound(data).seconds == pytest.approx(seconds)


def test_what_is_handed_on_is_a_plain_file_of_the_same_samples():
    samples = tone(440)
    odd = riff(
        chunk(b"junk", b"12345678"), pcm(), chunk(b"data", samples.tobytes()), chunk(b"id3 ", bytes(9))
    )
    with wave.open(io.BytesIO(sound(odd).file)) as read:
        assert read.getparams()[:4] == (1, 2, RATE, len(samples))
        assert read.readframes(len(samples)) == samples.tobytes()
    counted = silent_mp3(1).replace(bytes(4), b"Xing", 1)
    counted = sound(id3(bytes(20)) + counted + silent_mp3(9) + b"TAG" + bytes(125))
    assert counted.seconds == pytest.approx(9 * FRAME)
    with wave.open(io.BytesIO(sound(flac()).file)) as read:
        assert set(np.frombuffer(read.readframes(RATE), "<i2")) == {1000}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "it is empty"),
        (b"hello", "it is not WAV, MP3 or FLAC audio"),
        (b"OggS\0\2", "it is Ogg audio, not WAV, MP3 or FLAC"),
        (b"\0\0\0\x20ftypM4A ", "it is MPEG-4 audio, not WAV, MP3 or FLAC"),
        (b"FORM\0\0\0\0AIFF", "it is AIFF audio, not WAV, MP3 or FLAC"),
        (b"RIFF\0\0\0\0WAVE", "the WAV file is damaged or cut short"),
        (wav(tone(440))[:-100], "the WAV file is damaged or cut short"),
        (riff(chunk(b"data", bytes(9999))), "the WAV file is damaged or cut short"),
        (riff(pcm(rate=0), chunk(b"data", bytes(9999))), "the WAV file is damaged or cut short"),
        (riff(pcm(channels=0), chunk(b"data", bytes(9999))), "the WAV file is damaged or cut short"),
        (riff(*[chunk(b"junk", b"")] * 2000, pcm()), "the WAV file is damaged or cut short"),
        (riff(pcm(tag=85, bits=4), chunk(b"data", bytes(9999))), "the WAV file is damaged or cut short"),
        (wav(tone(440, seconds=0.05)), "the sound is shorter than 0.1 seconds"),
        (wav(tone(440, seconds=0)), "the sound is shorter than 0.1 seconds"),
        (riff(pcm(rate=1000, bits=8), chunk(b"data", bytes(1000 * LONGEST + 1000))), "longer than 30"),
        (b"ID3", "the MP3 file is damaged or cut short"),
        (b"\xff\xfb" + bytes(500), "the MP3 file is damaged or cut short"),
        (silent_mp3(int(LONGEST / FRAME) + 2), "the sound is longer than 30 minutes"),
        (flac()[:30], "the FLAC file is damaged or cut short"),
        (flac(rate=0), "the FLAC file is damaged or cut short"),
    ],
    ids=lambda said: said if isinstance(said, str) else "",
)  # fmt: skip
def test_what_is_no_sound_is_refused_by_name(data: bytes, says: str):
    assert refusal(data).startswith(NAMED)
    assert says in refusal(data)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_file_gives_a_bounded_sound_or_a_refusal(data: st.DataObject):
    whole = bytearray(data.draw(st.sampled_from([wav(tone(440, 0.2)), silent_mp3(12), flac()])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, min(len(whole), 2000) - 1))
        whole[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
    try:
        found = sound(bytes(whole))
    except BadRequest:
        return
    assert 0.1 <= found.seconds <= LONGEST
    again = sound(found.file)
    assert again.seconds == pytest.approx(found.seconds)


@pytest.mark.parametrize(
    "data", [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"RIFF....WEBP", b"", b"x"]
)
def test_a_picture_is_no_sound(data: bytes):
    assert not is_sound(data)
