"""Decodes images: PNG, JPEG, WebP or GIF, recognised by content."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from io import BytesIO
from typing import TYPE_CHECKING

from puna.errors import InvalidField
from puna.file_kinds import IMAGES, check_kind
from puna.types import Image

if TYPE_CHECKING:
    from PIL.Image import Image as Pixels
    from PIL.ImageFile import ImageFile

PIXELS = 64_000_000
"""Maximum of a file: a few kilobytes of PNG can expand to gigabytes."""
SIDE = 4096
"""Longer sides are scaled down to this many pixels; no projector uses more."""
_SCANS = 100
"""Most passes over a progressive JPEG. Encoders make about ten; each costs as much as a whole picture."""
_LARGE = 16_000_000
_alone = threading.Lock()
"""Held while more than _LARGE pixels are decoded: each may take 18 bytes (in a WebP)."""

# What undoes each EXIF orientation (EXIF 2.32, tag 0x0112), by its name in Pillow's Transpose.
_ORIENTATION = 0x0112
_UNDONE = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


def decode_picture(data: bytes, field: str = "images") -> Image:
    """Decode a picture: its first frame, oriented by EXIF, on white, scaled down to SIDE.

    Blocks. Raises BadRequest, which names `field`.
    """
    kind = check_kind(data, IMAGES, "a PNG, JPEG, WebP or GIF image", field)
    if kind == "JPEG" and data.count(b"\xff\xda") > _SCANS:
        raise InvalidField(field, f"the JPEG file has more than {_SCANS} scans")
    from PIL.Image import DecompressionBombError

    try:
        picture = _open(kind, data)
        size = picture.width * picture.height
        if size > PIXELS:
            raise DecompressionBombError
        with _alone if size > _LARGE else nullcontext():
            pixels = _upright(picture)
            return Image(pixels.width, pixels.height, pixels.tobytes())
    except DecompressionBombError:
        raise InvalidField(field, f"the image has more than {PIXELS // 1_000_000} megapixels") from None
    except Exception:  # Pillow's readers raise whatever a broken file leads them to.
        raise InvalidField(field, f"the {kind} file is damaged or cut short") from None


def _open(kind: str, data: bytes) -> ImageFile:
    """The file with its header read. Imports only its own reader; `Image.open` would load all forty."""
    if kind == "PNG":
        from PIL.PngImagePlugin import PngImageFile as Reader
    elif kind == "JPEG":
        from PIL.JpegImagePlugin import JpegImageFile as Reader
    elif kind == "GIF":
        from PIL.GifImagePlugin import GifImageFile as Reader
    else:
        from PIL.WebPImagePlugin import WebPImageFile as Reader
    return Reader(BytesIO(data))


def _upright(picture: ImageFile) -> Pixels:
    from PIL.Image import Transpose

    picture.draft(None, (SIDE, SIDE))  # A JPEG is scaled while it is decoded.
    picture.load()
    undone = _UNDONE.get(_orientation(picture))
    pixels = _coloured(picture)
    pixels.thumbnail((SIDE, SIDE))
    pixels = _opaque(pixels)
    return pixels.transpose(Transpose[undone]) if undone else pixels


def _coloured(picture: Pixels) -> Pixels:
    """The picture in RGB, or in RGBA when parts of it are transparent."""
    if picture.mode.startswith("I"):
        # 16-bit grey, which a conversion would clip at 255.
        return picture.point(lambda level: level * (1 / 257)).convert("L").convert("RGB")
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    return picture if picture.mode == mode else picture.convert(mode)


def _opaque(pixels: Pixels) -> Pixels:
    from PIL import Image as pillow

    if pixels.mode == "RGB":
        return pixels
    white = pillow.new("RGB", pixels.size, "white")
    white.paste(pixels, mask=pixels)
    return white


def _orientation(picture: ImageFile) -> int:
    try:
        found = picture.getexif().get(_ORIENTATION)
    except Exception:  # Ignore broken EXIF data.
        return 1
    return found if isinstance(found, int) else 1
