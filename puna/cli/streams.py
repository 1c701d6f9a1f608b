"""Standard input, output and error, whatever the program was started with."""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper


def open_streams() -> None:
    """Make each of the three usable: one that was closed leads nowhere, and no file takes its place."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number, that is this one.
            os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            stream = open(number, "r" if name == "stdin" else "w", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        # Models write every script there is; a terminal that cannot show one must not end the answer.
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def flush() -> OSError | None:
    """Write out what is left, so that the interpreter has nothing to say; the reason why nobody took it."""
    failure = None
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            failure = error
            os.dup2(os.open(os.devnull, os.O_RDWR), stream.fileno())
    return failure
