"""A question for a process that ends with its answer: the server holds nothing that it took."""

from __future__ import annotations

import asyncio
import sys


async def ask(module: str, question: bytes = b"", *, patience: float) -> bytes:
    """What `python -m module` prints when it reads `question`, within `patience` seconds.

    Raises OSError with its last complaint if it fails, TimeoutError if it does not answer.
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
        output, complaints = await asyncio.wait_for(process.communicate(question), patience)
    except BaseException:
        process.kill()  # and no wait: a driver that hangs may keep even a killed process
        raise
    if process.returncode:
        last = complaints.decode("utf-8", "replace").strip().rpartition("\n")[2]
        raise OSError(last or f"exit status {process.returncode}")
    return output
