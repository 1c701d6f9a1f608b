"""Which native kernels an engine on this machine uses, found out in a process of its own."""

from __future__ import annotations

import subprocess
import sys


def kernels() -> str:
    """Such as "avx2: q4_0 q4_K", or "off: " and why."""
    command = [sys.executable, "-m", "puna.engine.libllama.kernels"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or f"off: libllama does not load: {done.stderr.strip().rpartition(chr(10))[2]}"
