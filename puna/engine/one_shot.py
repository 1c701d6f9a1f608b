"""A process that answers once and ends: the server keeps nothing that the process allocated."""

from __future__ import annotations

import asyncio
import sys


async def run_once(module: str, request: bytes = b"", *, patience: float) -> bytes:
    """What `python -m module` prints when it reads `request`, within `patience` seconds.

    Raises OSError with the last line of its standard error if it fails, TimeoutError if it does not answer.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        output, errors = await asyncio.wait_for(process.communicate(request), patience)
    except BaseException:
        process.kill()  # and no wait: a driver that hangs may keep even a killed process
        raise
    if process.returncode:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise OSError(last or f"exit status {process.returncode}")
    return output
