"""`puna pull` and `puna push` before a person's eyes: bars with speed and time left, and Ctrl-C."""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pexpect
import pytest

from puna.library import Library, push
from puna.library.registry import journal
from tests.library.registry.conftest import DIGEST, MODEL, SIZE, put
from tests.registries import Fault, Line, line, registry
from tests.running import Server


@pytest.fixture
def way(tmp_path: Path) -> Iterator[Line]:
    """A line to a registry that has a model."""
    with registry(tmp_path / "registry") as hub, line(hub) as found:
        source = Library(tmp_path / "source")
        put(source, f"{hub}/{MODEL}")
        push(source, f"{hub}/{MODEL}", lambda step: None, insecure=True)
        yield found


def puna(server: Server, *words: str) -> pexpect.spawn:
    return pexpect.spawn(
        sys.executable,
        ["-m", "puna", *words],
        env={**server.environment(), "TERM": "xterm"},
        encoding="utf-8",
        dimensions=(24, 110),
        timeout=60,
    )


def test_a_bar_shows_size_speed_and_time_left(server: Server, way: Line):
    def fault(asked: object) -> Fault | None:
        times = len([one for one in way.blobs() if DIGEST in one.path])
        if times == 2:
            way.let_go = threading.Event()
        return Fault("stall", after=750_000) if times in (1, 2) else None

    way.fault = fault
    child = puna(server, "pull", "--insecure", f"{way.host}/{MODEL}")
    child.expect(rf"pulling {DIGEST[7:19]}: +24% ▕█+ +▏ 750 KB/3\.2 MB")
    way.release()
    child.expect(rf"pulling {DIGEST[7:19]}: +47% ▕█+ +▏ 1\.5 MB/3\.2 MB +[\d.]+ [KM]B/s +[\dhm]+s")
    way.release()
    child.expect(rf"pulling {DIGEST[7:19]}: 100% ▕█+▏ 3\.2 MB")
    child.expect_exact("success")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_ctrl_c_ends_a_pull_and_the_next_one_goes_on(server: Server, way: Line):
    way.fault = lambda asked: Fault("stall", after=1_000_000) if DIGEST in asked.path else None
    child = puna(server, "pull", "--insecure", f"{way.host}/{MODEL}")
    child.expect(rf"pulling {DIGEST[7:19]}: +32% ▕█+ +▏   1 MB/3\.2 MB")
    child.sendintr()
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 130
    assert "Traceback" not in (child.before or "")
    kept = journal.completed(Library(server.models).blobs.partial(DIGEST, ".journal"))
    assert kept == 1_000_000
    way.fault = lambda asked: None
    way.asked.clear()
    child = puna(server, "pull", "--insecure", f"{way.host}/{MODEL}")
    child.expect_exact("success")
    child.expect(pexpect.EOF)
    assert sum(asked.sent for asked in way.blobs() if DIGEST in asked.path) == SIZE - kept


def test_a_push_has_bars_too(server: Server, way: Line):
    name = f"{way.host}/me/sent"
    put(Library(server.models), name, b"Never sent before, never seen since." * 30_000)
    child = puna(server, "push", "--insecure", name)
    child.expect(r"pushing [0-9a-f]{12} 100% ▕█+▏ 1\.1 MB")
    child.expect_exact("success")
    child.expect_exact(f"You can find your model at:\r\n\r\n\t{name}:latest\r\n")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert httpx.get(f"http://{way.upstream}/v2/me/sent/tags/list").json()["tags"] == ["latest"]


def test_without_insecure_plain_http_is_refused(server: Server, way: Line):
    child = puna(server, "pull", f"{way.host}/{MODEL}")
    said = child.read()
    child.close()
    assert child.exitstatus == 1
    assert re.search(r"Error: pull model manifest: cannot speak HTTPS with .*--insecure", said)
