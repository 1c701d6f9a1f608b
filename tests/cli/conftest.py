"""A server that answers as recorded, and the command line run against it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from puna.cli import main
from puna.settings import OLLAMA_LEVEL
from tests.cli.person import answer
from tests.cli.replies import SHOWN, generated

Reply = dict[str, Any] | Iterable[dict[str, Any]]
"""One JSON body, or the lines of an NDJSON stream."""


class Refusal(Exception):
    """Answered with a status and Ollama's error body."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Recorded:
    """Answers each path with what was recorded for it, called with the request's body."""

    url: str = ""
    answers: dict[str, Callable[[dict[str, Any]], Reply]] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    blobs: dict[str, bytes] = field(default_factory=dict)
    """The store, by digest. It takes uploads only, as a real Ollama does."""
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set when a client left before the end of a stream."""

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [body for asked, body in self.asked if asked == path]


def _handler(recorded: Recorded) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/api/blobs/"):
                self._take(self.path.rpartition("/")[2], content)
                return
            body = json.loads(content or b"{}")
            recorded.asked.append((self.path, body))
            answer = recorded.answers.get(self.path)
            try:
                reply = answer(body) if answer else {}
            except Refusal as refusal:
                self._start(refusal.status)
                self.wfile.write(json.dumps({"error": str(refusal)}).encode())
                return
            self._start(200)
            try:
                for line in [reply] if isinstance(reply, dict) else reply:
                    self.wfile.write(json.dumps(line).encode() + b"\n")
            except OSError:
                recorded.hung_up.set()

        do_GET = do_DELETE = do_POST

        def do_HEAD(self) -> None:
            self._start(200 if self.path.rpartition("/")[2] in recorded.blobs else 404)

        def _take(self, digest: str, content: bytes) -> None:
            place = self.headers.get("Puna-Local-Path", "")
            recorded.asked.append((self.path, {"bytes": len(content), "place": place}))
            found = f"sha256:{hashlib.sha256(content).hexdigest()}"
            if found == digest:
                recorded.blobs[digest] = content
                self._start(201)
            else:
                self._start(400)
                error = f'digest mismatch, expected "{digest}", got "{found}"'
                self.wfile.write(json.dumps({"error": error}).encode())

        def _start(self, status: int) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    recorded = Recorded()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(recorded))
    server.daemon_threads = True
    recorded.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield recorded
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The person's home, where the history and the log go."""
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


@dataclass
class Ended:
    status: int
    out: str
    err: str


@pytest.fixture
def puna(
    recorded: Recorded, home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ended]:
    """`puna("list")` runs the command line, with `stdin` piped into it."""
    monkeypatch.setenv("OLLAMA_HOST", recorded.url)

    def run(*words: str, stdin: bytes = b"") -> Ended:
        monkeypatch.setattr("sys.argv", ["puna", *words])
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        with pytest.raises(SystemExit) as end:
            main()
        status = end.value.code
        written = capsys.readouterr()
        return Ended(status if isinstance(status, int) else 0, written.out, written.err)

    return run


@pytest.fixture
def environment(recorded: Recorded, home: Path) -> dict[str, str]:
    """What a `puna` in a process of its own needs to find the recorded server."""
    return os.environ | {"OLLAMA_HOST": recorded.url, "HOME": str(home)}


@pytest.fixture
def chatting(recorded: Recorded, environment: dict[str, str]) -> dict[str, str]:
    """The environment of a server that repeats what it is told."""
    recorded.answers["/api/show"] = lambda _: {"capabilities": ["completion"], "template": "{{ .Prompt }}"}
    recorded.answers["/api/generate"] = lambda _: {"model": "m", "response": "", "done": True}
    recorded.answers["/api/chat"] = answer
    return environment


@pytest.fixture
def answering(recorded: Recorded) -> Recorded:
    """A server with one text model, which says "The sky is blue."."""
    recorded.answers["/api/version"] = lambda _: {"version": OLLAMA_LEVEL}
    recorded.answers["/api/show"] = lambda _: SHOWN
    recorded.answers["/api/generate"] = lambda _: generated("The sky ", "is blue.")
    return recorded
