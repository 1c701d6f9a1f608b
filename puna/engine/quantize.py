"""The server's end of quantizing a model, which runs in a process of its own (`puna.engine.quantizer`)."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from puna.errors import BadRequest, PunaError

_KINDS = (
    *("F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1"),
    *("Q2_K", "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S", "Q4_K_M", "Q5_K_S", "Q5_K_M", "Q6_K"),
)
"""All that Ollama's `-q` takes or took that needs no importance matrix."""


def quantization(kind: str) -> str:
    """The name of a quantization as files have it: "q4_K_M" is "Q4_K_M". Raises BadRequest if it is none."""
    name = kind.upper()
    if name == "Q4_K":
        return "Q4_K_M"
    if name not in _KINDS:
        raise BadRequest(f"unsupported quantization type {name} - supported types are {', '.join(_KINDS)}")
    return name


def quantize(source: Path, target: Path, kind: str, on_progress: Callable[[int, int], None]) -> None:
    """Write the GGUF file `source` to `target` with its weights stored as `kind`, such as "q4_K_M".

    `on_progress(done, total)` counts tensors; an error it raises ends the work. Whatever ends it early,
    no `target` is left. Raises BadRequest for an unknown `kind` and for a source that is quantized already,
    PunaError with libllama's reason otherwise.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "puna.engine.quantizer", str(source), str(target), quantization(kind)],
        stdin=subprocess.PIPE,  # when it closes, the process ends: with this one, however that ends
        stdout=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )
    try:
        with process:
            _follow(process, on_progress)
    except BaseException:
        process.kill()
        process.wait()
        with contextlib.suppress(OSError):
            target.unlink()
        raise


def _follow(process: subprocess.Popen[str], on_progress: Callable[[int, int], None]) -> None:
    """Read what the process says to its end."""
    assert process.stdout is not None
    total = 0
    for line in process.stdout:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "done":
            done, total = map(int, rest.split())
            on_progress(done, total)
        else:
            raise BadRequest(rest) if word == "request" else PunaError(rest)
    if status := process.wait():
        how = f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
        raise PunaError(f"unable to quantize: the process ended unexpectedly ({how})")
    on_progress(total, total)
