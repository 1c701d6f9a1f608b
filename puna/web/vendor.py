"""`python -m puna.web.vendor`: fetches the page's libraries, pinned in pins.json, with their licences."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
VENDORED = HERE / "vendored"
_BARE = re.compile(r'(from\s*)"([a-z]+)"')
_MAP = re.compile(r"^//# sourceMappingURL=.*$", re.MULTILINE)


def vendor(name: str, pin: dict[str, Any], folder: Path) -> None:
    """Write one pin's files, or all of its folder, and the licence.

    Raises SystemExit when the package is not the one pinned.
    """
    packed = subprocess.run(
        ["npm", "pack", "--silent", pin["package"]], cwd=folder, check=True, capture_output=True, text=True
    )
    archive = folder / packed.stdout.strip().splitlines()[-1]
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != pin["sha256"]:
        raise SystemExit(f"{pin['package']} has the hash {found}, not {pin['sha256']}")
    with tarfile.open(archive) as package:
        for source, target in pin.get("files", {}).items():
            text = _for_the_page(_member(package, source).decode())
            (VENDORED / target).write_text(text, encoding="utf-8")
        own = f"{pin['folder']}/" if "folder" in pin else ""
        for source in _below(package, own):
            (VENDORED / name).mkdir(exist_ok=True)
            (VENDORED / name / Path(source).name).write_bytes(_member(package, source))
        (VENDORED / f"{name}.LICENSE").write_bytes(_member(package, f"{own}LICENSE"))


def _below(package: tarfile.TarFile, folder: str) -> list[str]:
    """The files of a folder of the package, without its licence; none for ""."""
    paths = [path.removeprefix("package/") for path in package.getnames()]
    return [path for path in paths if folder and path.startswith(folder) and not path.endswith("LICENSE")]


def sums() -> str:
    """The hash of every vendored file, in `sha256sum`'s form, which reveals edits by hand."""
    files = sorted(path for path in VENDORED.rglob("*") if path.suffix in (".js", ".bcmap", ".LICENSE"))
    names = [path.relative_to(VENDORED).as_posix() for path in files]
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    return "".join(f"{found}  {name}\n" for found, name in zip(hashes, names, strict=True))


def _member(package: tarfile.TarFile, path: str) -> bytes:
    file = package.extractfile(f"package/{path}")
    assert file
    return file.read()


def _for_the_page(source: str) -> str:
    """Replaces bare module names by files: an import map would be an inline script, which is forbidden."""
    return _MAP.sub("", _BARE.sub(r'\1"./\2.js"', source))


if __name__ == "__main__":
    VENDORED.mkdir(exist_ok=True)
    for name, pin in json.loads((HERE / "pins.json").read_text()).items():
        with tempfile.TemporaryDirectory() as folder:
            vendor(name, pin, Path(folder))
    (VENDORED / "SHA256SUMS").write_text(sums(), encoding="utf-8")
