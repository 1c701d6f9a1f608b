"""Which native kernels an engine on this machine uses, found by a one-shot process."""

from __future__ import annotations

import subprocess
import sys


def kernels() -> str:
    """For example "avx2: q4_0 q4_K", or "off: " and the reason."""
    command = [sys.executable, "-m", "puna.engine.libllama.kernels"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or f"off: libllama does not load: {done.stderr.strip().rpartition(chr(10))[2]}"
