"""Files that came with a request."""

from __future__ import annotations


class Attached(bytes):
    """The file of a picture or a sound, and the field of the request that it came in, which refusals name."""

    field: str

    def __new__(cls, file: bytes, field: str) -> Attached:
        made = super().__new__(cls, file)
        made.field = field
        return made


def field_of(file: bytes) -> str:
    """Where `file` came in; a model's own messages have pictures too, which came in no field."""
    return file.field if isinstance(file, Attached) else "images"
