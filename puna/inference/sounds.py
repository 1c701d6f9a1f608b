"""Decodes audio: WAV, MP3 or FLAC, in pieces because a file may claim any length."""

from __future__ import annotations

import wave
from io import BytesIO

from puna.errors import InvalidField
from puna.file_kinds import ALL_SOUNDS, SOUNDS, check_kind, kind_of
from puna.types import Sound

LONGEST = 30 * 60
"""Seconds of sound in one request."""
_SHORTEST = 0.1
"""Seconds; OpenAI refuses less too."""

_FASTEST = 48_000
"""Samples a second. Higher rates are resampled, because no projector needs more."""
_AT_ONCE = 1 << 16
"""Samples decoded at a time."""
_WIDTH = 2
"""Bytes of a sample."""
_UNKNOWN_LENGTH = 0x7FFF_0000
"""WAV files from pipes claim at least this many bytes."""


def is_sound(data: bytes) -> bool:
    """Whether a file is a sound, of a readable kind or not."""
    return kind_of(data, ALL_SOUNDS) is not None


def check_sound(data: bytes, field: str) -> str:
    """WAV, MP3 or FLAC, whichever a file looks like. Raises BadRequest, which names `field`."""
    return check_kind(data, SOUNDS, "WAV, MP3 or FLAC audio", field)


def sound(data: bytes, field: str = "images") -> Sound:
    """Decode a sound. Blocks. Raises BadRequest with `field` if it is damaged, too long or too short."""
    kind = check_sound(data, field)
    damaged = InvalidField(field, f"the {kind} file is damaged or cut short")
    # The decoder accepts truncated files. A last odd byte may lack its padding.
    if kind == "WAV" and len(data) + 1 < int.from_bytes(data[4:8], "little") + 8 < _UNKNOWN_LENGTH:
        raise damaged
    import miniaudio

    read = {"WAV": miniaudio.wav_get_info, "FLAC": miniaudio.flac_get_info, "MP3": miniaudio.mp3_get_info}
    try:
        rate = min(read[kind](data).sample_rate, _FASTEST)
        samples = _decode(data, rate, LONGEST * rate + 1)
    except (miniaudio.MiniaudioError, ZeroDivisionError):  # It divides by a rate that may be 0.
        raise damaged from None
    seconds = len(samples) / _WIDTH / rate
    if seconds > LONGEST:
        raise InvalidField(field, f"the sound is longer than {LONGEST // 60} minutes")
    if seconds < _SHORTEST:
        raise InvalidField(field, f"the sound is shorter than {_SHORTEST} seconds")
    return Sound(_wav(samples, rate), seconds)


def _decode(data: bytes, rate: int, most: int) -> bytes:
    """Samples of 16 bits, one channel: about `most` of them if there are more."""
    import miniaudio

    samples = bytearray()
    form = miniaudio.SampleFormat.SIGNED16
    for piece in miniaudio.stream_memory(data, form, 1, rate, _AT_ONCE):
        samples += piece.tobytes()
        if not len(piece) or len(samples) >= most * _WIDTH:
            break
    return bytes(samples)


def _wav(samples: bytes, rate: int) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(_WIDTH)
        out.setframerate(rate)
        out.writeframes(samples)
    return file.getvalue()
