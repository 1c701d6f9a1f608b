"""A real `puna serve` in a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_LISTENING = re.compile(r"Listening on (\S+)")


@dataclass
class Server:
    """A server that was started for a test; `log` is what it has written to stderr so far."""

    url: str
    models: Path
    process: subprocess.Popen[bytes]
    log: list[str] = field(default_factory=list)
    listening: threading.Event = field(default_factory=threading.Event)
    reader: threading.Thread = field(init=False)
    """Fills `log`, and ends with the process."""

    def __post_init__(self) -> None:
        self.reader = threading.Thread(target=_read_log, args=(self,), daemon=True)
        self.reader.start()

    def environment(self) -> dict[str, str]:
        """The environment in which clients find this server."""
        return {
            **os.environ,
            "OLLAMA_HOST": self.url,
            "OLLAMA_MODELS": str(self.models),
            "PUNA_KEYS": str(self.keys),
        }

    @property
    def keys(self) -> Path:
        """The file of the keys that it asks for."""
        return keys_file(self.models)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


def keys_file(models: Path) -> Path:
    """Where a test's server has its keys: there are none, whatever the person at this machine has."""
    return models.with_name(f"{models.name}-keys.json")


def run_puna(
    *words: str, env: Mapping[str, str], cwd: Path | None = None, timeout: float = 60
) -> subprocess.CompletedProcess[str]:
    """`puna` with these words, to its end, with nobody at a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "puna", *words],
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


@contextmanager
def serving(models: Path, *, program: str = "puna", **settings: str) -> Iterator[Server]:
    """`puna serve` on a free port over the store in `models`; `settings` are environment variables.

    `program` is the module that is run, where it is not Puna itself but something around it.

    At the end it is asked to stop, and must do so cleanly and leave no process behind. A test that ends
    the process itself is not asked to have done it cleanly.
    """
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("OLLAMA_", "PUNA_"))
    }
    own = {"OLLAMA_HOST": "127.0.0.1:0", "OLLAMA_MODELS": str(models), "PUNA_KEYS": str(keys_file(models))}
    environment = inherited | own | settings
    command = [sys.executable, "-m", program, "serve"]
    process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    server = Server("", models, process)
    try:
        server.listening.wait(timeout=60)
        assert server.url, f"the server did not start:\n{''.join(server.log)}"
        yield server
        if process.poll() is None:
            children = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=30) == 0, f"the server did not end cleanly:\n{''.join(server.log)}"
            assert not _still_running(children), f"processes left behind:\n{''.join(server.log)}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        server.reader.join(timeout=60)


def _read_log(server: Server) -> None:
    assert server.process.stderr
    for raw in server.process.stderr:
        line = raw.decode(errors="replace")
        server.log.append(line)
        found = _LISTENING.search(line)
        if found and not server.url:
            server.url = f"http://{found[1]}"
            server.listening.set()
    server.listening.set()


def _still_running(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those of `processes` that do not end soon."""
    deadline = time.monotonic() + 20
    while alive := [process for process in processes if process.is_running() and _lives(process)]:
        if time.monotonic() > deadline:
            return alive
        time.sleep(0.02)
    return []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
