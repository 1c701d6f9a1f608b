"""Starts a server in the background when `run` finds none."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from puna.cli.connection import CommandFailed, is_local, server_version
from puna.settings import Settings

PATIENCE = 10.0
"""Seconds for a new server to start listening."""


def ensure_server(settings: Settings) -> None:
    """Start a server unless one answers at `settings.url`, and wait until it answers.

    Raises CommandFailed if the address is another machine's or the new server does not start.
    """
    if server_version(settings) is not None:
        return
    if settings.scheme != "http" or not is_local(settings):
        raise CommandFailed(f"could not connect to Puna at {settings.url}: is it running there?")
    log = Path.home() / ".ollama" / "logs" / "puna.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            start = output.tell()
            server = subprocess.Popen(
                [sys.executable, "-m", "puna", "serve"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # so that Ctrl-C in this terminal does not reach it
            )
    except OSError as error:
        raise CommandFailed(
            f"no server answers at {settings.url}, and one could not be started: {error}"
        ) from None
    _wait(settings, server, log, start)
    print(
        f"puna: no server answered at {settings.url}; started one (pid {server.pid}, log {log})",
        file=sys.stderr,
    )


def _wait(settings: Settings, server: subprocess.Popen[bytes], log: Path, start: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        # The process is polled before the address, because another `run` may have won the race for it.
        ended = server.poll() is not None
        if server_version(settings) is not None:
            return
        if ended:
            raise CommandFailed(
                f"no server answers at {settings.url}, and the one started ended:\n{_tail(log, start)}"
            )
        time.sleep(0.05)
    server.terminate()
    raise CommandFailed(
        f"the server started at {settings.url} did not answer within {PATIENCE:.0f} s:\n{_tail(log, start)}"
    )


def _tail(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(f"  {line}" for line in lines[-10:]) or f"  (nothing in {log})"
