"""Finding a server's engines, what it holds, and taking memory from them."""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.faults.dialects import Dialect
from tests.running import Server


def processes(server: Server, module: str = "puna.engine") -> list[psutil.Process]:
    """The server's processes that run `module`, oldest first."""
    found = psutil.Process(server.process.pid).children()
    running = [child for child in found if module in _command(child)]
    return sorted(running, key=lambda child: child.create_time())


def engines(server: Server) -> list[psutil.Process]:
    """Those that have a model or are given one, oldest first."""
    return [one for one in processes(server) if _name(one) == "puna-engine"]


def standby(process: psutil.Process) -> bool:
    """Whether it waits for a model."""
    return _name(process) == "puna-standby"


def _name(process: psutil.Process) -> str:
    try:
        return process.name()
    except psutil.Error:
        return ""


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def until(happened: Callable[[], Any], seconds: float = 60) -> Any:
    """What `happened` returns, once that is something."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, f"{happened} does not happen"
        time.sleep(0.01)
    return found


def measure(server: Server, name: str) -> float:
    """A figure of /metrics."""
    lines = httpx.get(f"{server.url}/metrics", timeout=60).text.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.startswith(f"{name} "))


def loaded(server: Server, model: str) -> psutil.Process:
    """The engine of `model`, which is loaded now and stays; no other engine may be."""
    asked = httpx.post(f"{server.url}/api/generate", json={"model": model, "keep_alive": -1}, timeout=120)
    assert asked.status_code == 200, asked.text
    (engine,) = engines(server)
    return engine


class Asked:
    """A request that is answered in a thread."""

    def __init__(self, server: Server, path: str, body: dict[str, Any]) -> None:
        self._answer: httpx.Response | None = None
        self._url, self._body = f"{server.url}{path}", body
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    @classmethod
    def in_dialect(cls, server: Server, dialect: Dialect, model: str, *, stream: bool) -> Asked:
        return cls(server, dialect.path, dialect.asked(model, 20, stream=stream))

    def _ask(self) -> None:
        self._answer = httpx.post(self._url, json=self._body, timeout=120)

    @property
    def answer(self) -> httpx.Response:
        self._thread.join(timeout=120)
        assert self._answer is not None
        return self._answer


def starve(process: psutil.Process, spare: int = 0) -> None:
    """Let a process have `spare` bytes more than it has, as its system may (RLIMIT_AS)."""
    process.rlimit(psutil.RLIMIT_AS, (process.memory_info().vms + spare, resource.RLIM_INFINITY))


_CGROUPS = (
    (Path("/sys/fs/cgroup"), "memory.max"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
)
"""Where groups with a limit of memory are made, in both versions of cgroups, and the file of the limit."""


@contextmanager
def _cgroup(root: Path, file: str) -> Iterator[Path | None]:
    """A group whose processes are killed as soon as they take more; None where none can be made."""
    group = root / f"puna-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        yield None
        return
    try:
        if limited := (group / file).exists():
            (group / file).write_text(str(1 << 16))
        yield group if limited else None
    finally:
        until(lambda: _removed(group))


def _removed(group: Path) -> bool:
    """Whether it is gone; it goes when its processes have."""
    with suppress(OSError):
        group.rmdir()
    return not group.exists()


def _usable(place: tuple[Path, str]) -> bool:
    with _cgroup(*place) as group:
        return group is not None


_PLACE = next(filter(_usable, _CGROUPS), None)
SHORTAGES = ("RLIMIT_AS", *(["cgroup"] if _PLACE else []))
"""How a process can be made short of memory here."""


@contextmanager
def shortage(kind: str) -> Iterator[Callable[[psutil.Process], None]]:
    """What makes a process short of memory: allocating fails, or the system kills it."""
    if kind == "RLIMIT_AS" or _PLACE is None:
        yield starve
        return
    with _cgroup(*_PLACE) as group:
        assert group
        procs = group / "cgroup.procs"
        yield lambda process: (procs.write_text(str(process.pid)), None)[1]


@contextmanager
def begun(server: Server, dialect: Dialect, most: int) -> Iterator[Callable[[], str]]:
    """An answer that has begun: what returns the rest of its text."""
    body = dialect.asked("endless", most, stream=True)
    with httpx.stream("POST", f"{server.url}{dialect.path}", json=body, timeout=120) as answer:
        pieces = answer.iter_text()
        text = ""
        while " and" not in text:
            text += next(pieces)
        yield lambda: text + "".join(pieces)
