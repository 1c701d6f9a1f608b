"""The use of keys, in a file beside them: the last time, and today's tokens.

    {"format": 1, "used": {"9f86d081": {"last": 1790000000, "day": 20720, "tokens": 1234}}}

Several servers may share the keys: each adds its use since it last wrote.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from puna.access.keyfile import decode_file, exclusive_access, read_file
from puna.library import write_private

FORMAT = 1
DAY = 86_400


class KeyUsage(msgspec.Struct, omit_defaults=True):
    """One key's use. `last` is in seconds since 1970, `day` in UTC days since then."""

    last: int = 0
    day: int = 0
    tokens: int = 0
    """Of that day."""

    def on(self, day: int) -> int:
        """The tokens of `day`."""
        return self.tokens if self.day == day else 0

    def add(self, other: KeyUsage) -> None:
        """Add the use of `other`."""
        day = max(self.day, other.day)
        self.tokens = self.on(day) + other.on(day)
        self.day = day
        self.last = max(self.last, other.last)


class _UsageFile(msgspec.Struct):
    format: int
    used: dict[str, KeyUsage]


def usage_path(keys: Path) -> Path:
    """The file with the use of the keys in the file `keys`."""
    return keys.with_name(f"{keys.stem}-usage.json")


def read_usage(path: Path) -> dict[str, KeyUsage]:
    """The use of each key, by its id. Raises PunaError when the file is invalid."""
    content = read_file(path)
    return decode_file(path, content, _UsageFile, FORMAT).used if content is not None else {}


def add_usage(path: Path, unsaved: dict[str, KeyUsage], ids: set[str]) -> dict[str, KeyUsage]:
    """Add unsaved use to the file, and return the sums. Keys that are not in `ids` are dropped.

    Raises PunaError.
    """
    with exclusive_access(path):
        usage = {id: entry for id, entry in read_usage(path).items() if id in ids}
        for id, entry in unsaved.items():
            if id in ids:
                usage.setdefault(id, KeyUsage()).add(entry)
        write_private(path, msgspec.json.encode(_UsageFile(FORMAT, usage)))
        return usage
