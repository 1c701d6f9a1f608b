"""The quantizing process: `python -m puna.engine.quantizer SOURCE TARGET KIND`.

Standard output has one line per event: "done 12 272" counts tensors; "request" or "failed" ends it.
Standard error has libllama's messages. When standard input closes, the work is cancelled.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
from pathlib import Path

from puna.errors import BadRequest, PunaError

_TENSOR = re.compile(r"\[ *(\d+)/ *(\d+)\] ")  # libllama logs this at the beginning of a tensor


def main() -> None:
    """Quantizes one file, with a thread for each core. An error is a line, and no exit status."""
    source, target, kind = sys.argv[1:]
    output = os.dup(1)
    os.dup2(2, 1)  # other output must not mix with the lines

    def emit(*words: object) -> None:
        os.write(output, (" ".join(" ".join(map(str, words)).splitlines()) + "\n").encode())

    def notice(text: str) -> None:
        if begun := _TENSOR.match(text):
            emit("done", int(begun[1]) - 1, begun[2])

    threading.Thread(target=_end_with_server, args=(Path(target),), daemon=True).start()

    import psutil

    from puna.engine.libllama import quantize

    threads = psutil.cpu_count(logical=False) or os.cpu_count() or 1
    try:
        quantize(source, target, kind, threads=threads, notice=notice)
    except BadRequest as error:
        emit("request", error)
    except PunaError as error:
        emit("failed", error)
    except MemoryError:
        emit("failed", "unable to quantize: out of memory")


def _end_with_server(target: Path) -> None:
    os.read(0, 1)
    with contextlib.suppress(OSError):
        target.unlink()
    os._exit(1)


if __name__ == "__main__":
    main()
