"""A sound's file as the engine may decode it: WAV, MP3 or FLAC, its length known, and nothing else in it.

The decoder takes memory for as long a sound as a file claims to be. So what a file claims is read here first,
and what is handed on claims nothing else: a WAV file gets a new header, an MP3 file keeps its frames alone.
The formats are Microsoft's RIFF WAVE, ISO 11172-3 and 13818-3, ID3v2 and RFC 9639.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from struct import Struct
from struct import error as StructError

from puna.types import BadRequest, InvalidField, Sound

LONGEST = 30 * 60
"""Seconds of sound in one request."""
_SHORTEST = 0.1
"""Seconds; OpenAI refuses less too."""

_SIGNS = {"WAV": rb"RIFF....WAVE", "FLAC": rb"fLaC", "MP3": rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]"}
_OTHER_SIGNS = {
    "Ogg audio": rb"OggS",
    "AIFF audio": rb"FORM....AIF[FC]",
    "AMR audio": rb"#!AMR",
    "MPEG-4 audio": rb"....ftypM4[AB]",
    "AAC audio": rb"\xff[\xf0\xf1\xf8\xf9]",
    "MPEG audio of another layer": rb"\xff[\xf4-\xf7\xfc\xfd]",
}
_SLOWEST, _FASTEST = 1_000, 768_000
"""Samples a second."""

_CHUNK = Struct("<4sI")
_FORMAT = Struct("<HHIIHH")
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
_DEPTHS = {_PCM: (8, 16, 24, 32), _FLOAT: (32, 64), _ALAW: (8,), _MULAW: (8,)}
_MOST_CHUNKS = 1000
_UNKNOWN_LENGTH = 0x7FFF_0000
"""A WAV file that was written into a pipe claims at least this many bytes."""

_FIRST_VERSION, _THIRD_LAYER = 3, 1
_KILOBITS = {
    True: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    False: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Of layer III, by whether it is MPEG-1."""
_RATES = {3: (44_100, 48_000, 32_000), 2: (22_050, 24_000, 16_000), 0: (11_025, 12_000, 8_000)}
_COUNTS = re.compile(rb"Xing|Info|VBRI")
_FAR = 4096
"""Bytes in which a frame is looked for when something else stands between two."""
_MOST_STRAYS = 100_000
"""Bytes that look like a frame's first and are not."""


def is_sound(data: bytes) -> bool:
    """Whether a file is a sound, be it of a kind that can be read or not."""
    return any(re.match(sign, data, re.DOTALL) for sign in (*_SIGNS.values(), *_OTHER_SIGNS.values()))


def check_sound(data: bytes, field: str) -> None:
    """Raises BadRequest, which names `field`, when a file is plainly no sound that can be read."""
    _kind(data, field)


def sound(data: bytes, field: str = "images") -> Sound:
    """The sound in a file. Blocks. Raises BadRequest, which names `field`, also for one that is too long."""
    kind = _kind(data, field)
    read = {"WAV": _wav, "FLAC": _flac, "MP3": _mp3}[kind]
    try:
        found = read(data)
    except (ValueError, StructError) as reason:
        said = str(reason) if isinstance(reason, _Unread) else f"the {kind} file is damaged or cut short"
        raise _wrong(field, said) from None
    if found.seconds > LONGEST:
        raise _wrong(field, f"the sound is longer than {LONGEST // 60} minutes")
    if found.seconds < _SHORTEST:
        raise _wrong(field, f"the sound is shorter than {_SHORTEST} seconds")
    return found


class _Unread(ValueError):
    """A reason to be told."""


def _kind(data: bytes, field: str) -> str:
    if not data:
        raise _wrong(field, "it is empty")
    for kind, sign in _SIGNS.items():
        if re.match(sign, data, re.DOTALL):
            return kind
    for kind, sign in _OTHER_SIGNS.items():
        if re.match(sign, data, re.DOTALL):
            raise _wrong(field, f"it is {kind}, not WAV, MP3 or FLAC")
    raise _wrong(field, "it is not WAV, MP3 or FLAC audio")


def _wav(data: bytes) -> Sound:
    form, at, size = None, 12, 0
    for _ in range(_MOST_CHUNKS):
        name, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if name == b"data":
            break
        if name == b"fmt ":
            tag, channels, rate, _, _, bits = _FORMAT.unpack_from(data, at)
            if tag == _EXTENSIBLE:
                tag = int.from_bytes(data[at + 24 : at + 26], "little")
            form = tag, channels, rate, bits
        at += size + size % 2
    else:
        raise ValueError
    if form is None:
        raise ValueError
    tag, channels, rate, bits = form
    if bits not in _DEPTHS.get(tag, ()):
        raise _Unread("the WAV file is compressed in a way that is not read")
    if not channels or not _SLOWEST <= rate <= _FASTEST:
        raise ValueError
    if at + size > len(data) and size < _UNKNOWN_LENGTH:
        raise ValueError
    width = channels * bits // 8
    frames = min(size, len(data) - at) // width
    samples = data[at : at + frames * width]
    head = _FORMAT.pack(tag, channels, rate, rate * width, width, bits)
    body = b"WAVE" + _chunk(b"fmt ", head) + _chunk(b"data", samples)
    return Sound(_chunk(b"RIFF", body), frames / rate)


def _chunk(name: bytes, body: bytes) -> bytes:
    return _CHUNK.pack(name, len(body)) + body + bytes(len(body) % 2)


def _flac(data: bytes) -> Sound:
    """The first block says how many samples there are: 20 bits rate, 8 form, 36 count, 10 bytes into it."""
    if len(data) < 42 or data[4] & 0x7F:
        raise ValueError
    packed = int.from_bytes(data[18:26], "big")
    rate, frames = packed >> 44, packed & (1 << 36) - 1
    if not _SLOWEST <= rate <= _FASTEST:
        raise ValueError
    if not frames:
        raise _Unread("the FLAC file does not say how long it is")
    return Sound(bytes(data), frames / rate)


def _mp3(data: bytes) -> Sound:
    frames = list(_frames(data))
    # A first frame may hold a count of frames in place of sound.
    if frames and _COUNTS.search(data, frames[0].start, frames[0].stop):
        del frames[0]
    if not frames:
        raise ValueError
    version, rate, _ = _header(data, frames[0].start)
    samples = (1152 if version == _FIRST_VERSION else 576) * len(frames)
    return Sound(b"".join(data[frame.start : frame.stop] for frame in frames), samples / rate)


def _frames(data: bytes) -> Iterator[range]:
    """Where the frames are, all of one version and rate; what lies between them is stepped over."""
    at, strays, like = _after_tags(data), 0, None
    while at + 4 <= len(data):
        try:
            version, rate, size = _header(data, at)
            if like not in (None, (version, rate)) or at + size > len(data):
                raise ValueError
        except ValueError:
            following = data.find(b"\xff", at + 1, at + _FAR)
            strays += 1
            if following < 0 or strays > _MOST_STRAYS:
                return
            at = following
            continue
        like = version, rate
        yield range(at, at + size)
        at += size


def _after_tags(data: bytes) -> int:
    """Where what follows the ID3v2 tags begins; a tag's size is in four bytes of seven bits."""
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        one, two, three, four = data[at + 6 : at + 10]
        at += 10 + (one << 21 | two << 14 | three << 7 | four) + 10 * (data[at + 5] >> 4 & 1)
    return at


def _header(data: bytes, at: int) -> tuple[int, int, int]:
    """The version, rate and size in bytes of the frame at `at`. Raises ValueError when there is none."""
    first, second, third = data[at : at + 3]
    version, layer = second >> 3 & 3, second >> 1 & 3
    kilobits, rate = third >> 4, third >> 2 & 3
    if first != 0xFF or second < 0xE0 or layer != _THIRD_LAYER or version == 1 or rate == 3:
        raise ValueError
    if not 0 < kilobits < 15:
        raise ValueError
    newest = version == _FIRST_VERSION
    per_second = _RATES[version][rate]
    size = (144 if newest else 72) * _KILOBITS[newest][kilobits] * 1000 // per_second + (third >> 1 & 1)
    return version, per_second, size


def _wrong(field: str, what: str) -> BadRequest:
    return InvalidField(field, what)
