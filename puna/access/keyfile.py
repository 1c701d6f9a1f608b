"""The keys file: JSON with a format number, readable only by its owner.

    {"format": 1, "keys": [{"id": "9f86d081", "name": "ann", "hash": "…", "created": "…"}]}

A newer format is refused, and the file left unchanged. So is an unknown field, because it may be a limit.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from puna.access.key import Key
from puna.errors import BadRequest, NotFound, PunaError
from puna.library import file_lock, make_folder, write_errors, write_private

FORMAT = 1


class _Format(msgspec.Struct):
    format: int


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    format: int
    keys: list[Key]


def read_keys(path: Path) -> list[Key]:
    """The keys in the file; none when there is no file. Raises PunaError when the file is invalid."""
    content = read_file(path)
    return decode_file(path, content, _KeyFile, FORMAT).keys if content is not None else []


def add_key(path: Path, key: Key) -> None:
    """Add `key` to the file, created if missing. Raises BadRequest when its name is taken, PunaError."""
    with exclusive_access(path):
        keys = read_keys(path)
        if any(key.name == other.name for other in keys):
            raise BadRequest(f'there is a key named "{key.name}" already', "name")
        _write(path, [*keys, key])


def remove_key(path: Path, name_or_id: str) -> Key:
    """Remove the key with this name or id from the file, and return it. Raises NotFound, PunaError.

    The file stays when its last key goes: revoking a key must not open the server to everybody.
    """
    with exclusive_access(path):
        keys = read_keys(path)
        for key in keys:
            if name_or_id in (key.name, key.id):
                _write(path, [other for other in keys if other is not key])
                return key
    raise NotFound(f'there is no key named "{name_or_id}"')


def read_file(path: Path) -> bytes | None:
    """The content of a file; None when there is none. Raises PunaError when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PunaError(f"cannot read {path}: {error.strerror}") from error


Stored = TypeVar("Stored")


def decode_file(path: Path, content: bytes, kind: type[Stored], newest: int) -> Stored:
    """Decode a file with a format number. Raises PunaError for a format above `newest` or an invalid file."""
    try:
        number = msgspec.json.decode(content, type=_Format).format
        if number > newest:
            raise PunaError(f"{path} has format {number}, and this Puna reads none above {newest}")
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise PunaError(f"{path} cannot be decoded: {error}") from None


@contextmanager
def exclusive_access(path: Path) -> Iterator[None]:
    """Lock the file at `path` for one process, which reads and replaces it. Raises PunaError."""
    with ExitStack() as stack:
        with write_errors(path.parent):
            make_folder(path.parent)
            stack.enter_context(file_lock(path.with_name(f"{path.name}.lock")))
        yield


def _write(path: Path, keys: list[Key]) -> None:
    content = msgspec.json.encode(_KeyFile(FORMAT, keys))
    write_private(path, msgspec.json.format(content, indent=2) + b"\n")
