"""The server's side of quantizing a model in a separate process (`puna.engine.quantizer`)."""

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
"""The present and former types of Ollama's `-q` that need no importance matrix."""


def quantization(kind: str) -> str:
    """A quantization's name in files: "q4_K_M" is "Q4_K_M". Raises BadRequest for an unknown one."""
    name = kind.upper()
    if name == "Q4_K":
        return "Q4_K_M"
    if name not in _KINDS:
        raise BadRequest(f"unsupported quantization type {name} - supported types are {', '.join(_KINDS)}")
    return name


def quantize(source: Path, target: Path, kind: str, on_progress: Callable[[int, int], None]) -> None:
    """Write the GGUF file `source` to `target` with its weights stored as `kind`, such as "q4_K_M".

    `on_progress(done, total)` counts tensors; an error it raises ends the work. After any failure, `target`
    does not exist. Raises BadRequest for an unknown `kind` or a source that is already quantized, PunaError
    with libllama's reason otherwise.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "puna.engine.quantizer", str(source), str(target), quantization(kind)],
        stdin=subprocess.PIPE,  # the process ends when this closes, also when this process is killed
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
    """Read the process's output to its end."""
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
