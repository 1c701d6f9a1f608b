"""Standard input, output and error, even when the program was started without them."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper


def open_streams() -> None:
    """Replace closed standard streams by the null device, so that no file gets their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # open() takes the lowest free number, which is this one.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            stream = open(number, "r" if name == "stdin" else "w", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        # Models write any script. A terminal that cannot show it must not end the answer.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def replace_surrogates(text: str) -> str:
    """The text without lone surrogates: Python reads bytes that are not UTF-8 as such, but JSON has none."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def flush() -> OSError | None:
    """Flush the output, so that the interpreter reports no error at exit; returns the error, if any."""
    failure = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            failure = error
            os.dup2(os.open(os.devnull, os.O_RDWR), stream.fileno())
    return failure
