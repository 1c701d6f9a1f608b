"""One reader's fuzzing by what its code covers: `python -m tests.fuzz_guided READER SECONDS FOLDER`.

An input that reaches code no other did is changed further (libFuzzer, through atheris). The process ends at
the first input that breaks the reader or takes too long or too much memory, and leaves it in FOLDER.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Collection
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

_LARGEST = 65_536
"""Bytes of an input."""
_WRONG = ("crash", "timeout", "oom")
"""How libFuzzer's names of inputs begin that broke a reader, or took too long or too much memory."""


def guided(readers: Collection[str], seconds: float) -> list[str]:
    """What went wrong in so many seconds for all these readers, each with the input that did it."""
    wrong: list[str] = []
    each = str(max(1, round(seconds / len(readers))))
    for name in readers:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "tests.fuzz_guided", name, each, folder]
            ended = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
            inputs = [path.read_bytes() for kind in _WRONG for path in Path(folder).glob(f"{kind}-*")]
        print(f"{name}: {_count(ended.stderr)}", flush=True)
        if ended.returncode or inputs:
            wrong.append(f"{name}: {inputs}\n{ended.stderr.decode(errors='replace')[-4000:]}")
    return wrong


def _count(said: bytes) -> str:
    """The last line of libFuzzer's that says how many inputs there were."""
    lines = said.decode(errors="replace").splitlines()
    return next((line for line in reversed(lines) if line.startswith("Done ")), "ended early")


def main(name: str, seconds: str, folder: str) -> None:
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["puna"]):
        from puna.errors import PunaError
        from tests.fuzz import SLOW, targets

    corpus = Path(folder, "corpus")
    corpus.mkdir()
    seeds, read = targets(corpus.parent)[name]
    for number, seed in enumerate(seeds):
        (corpus / str(number)).write_bytes(seed)

    def refused_or_read(data: bytes) -> None:
        with suppress(PunaError):
            read(data)

    options = [f"-max_total_time={seconds}", f"-timeout={SLOW:.0f}", f"-max_len={_LARGEST}"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={folder}/", str(corpus)], refused_or_read)
    atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
