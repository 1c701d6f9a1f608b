"""Runs a process that answers once and ends, so that its memory does not stay with the server."""

from __future__ import annotations

import asyncio
import sys


async def run_once(module: str, request: bytes = b"", *, patience: float) -> bytes:
    """The output of `python -m module` with `request` as its input.

    Raises OSError with the last line of its standard error, TimeoutError after `patience` seconds.
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
        process.kill()  # Do not wait: even a killed process may hang in a driver.
        raise
    if process.returncode:
        last = errors.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise OSError(last or f"exit status {process.returncode}")
    return output
