"""A real registry in a process of its own, and the line to it, with whatever befalls it on the way."""

from __future__ import annotations

import http.client
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from tests.gate import Gate

KEPT = (
    Path(__file__).resolve().parent.parent / ".cache" / "docker-registry" / "usr" / "bin" / "docker-registry"
)
"""Where `make test` puts the program if the system has none."""

_CONFIGURATION = """\
version: 0.1
log: {{level: info, formatter: text}}
storage:
  filesystem: {{rootdirectory: {folder}}}
  delete: {{enabled: true}}
http: {{addr: "127.0.0.1:0"}}
"""
_LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")
_PIECE = 16 << 10


@contextmanager
def registry(folder: Path) -> Iterator[str]:
    """Debian's docker-registry, keeping its blobs in `folder`; yields its host and port."""
    program = shutil.which("docker-registry") or str(KEPT)
    assert Path(program).exists(), "docker-registry is missing (`make .cache/docker-registry`)"
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "configuration.yml"
    configuration.write_text(_CONFIGURATION.format(folder=folder / "data"))
    environment = {"PATH": "/usr/bin:/bin", "OTEL_TRACES_EXPORTER": "none"}
    process = subprocess.Popen(
        [program, "serve", configuration], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )
    try:
        assert process.stderr
        for line in process.stderr:
            if found := _LISTENING.search(line.decode()):
                break
        else:
            raise AssertionError("docker-registry did not start")
        drain = threading.Thread(target=process.stderr.read, daemon=True)
        drain.start()
        yield f"127.0.0.1:{found[1]}"
    finally:
        process.kill()
        process.wait()


@dataclass
class Fault:
    """What befalls an answer after `after` bytes of its body, or instead of it."""

    kind: Literal["cut", "end", "stall", "corrupt", "endless", "html", "status", "longer", "unranged"]
    after: int = 0
    status: int = 500
    retry_after: str = ""


@dataclass
class Asked:
    """A request that came by, at `time` in monotonic seconds.

    `begin` is where its range begins, `sent` how many bytes of body it got.
    """

    method: str
    path: str
    headers: dict[str, str]
    begin: int = 0
    sent: int = 0
    received: int = 0
    time: float = field(default_factory=time.monotonic)

    @property
    def blob(self) -> bool:
        return self.method == "GET" and "/blobs/sha256:" in self.path


class Line:
    """An HTTP server that passes every request on to `upstream`, as far as its faults let it."""

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.host = ""
        self.asked: list[Asked] = []
        self.fault: Callable[[Asked], Fault | None] = lambda asked: None
        """Decides what befalls a request."""
        self.gate: Gate | None = None
        self.elsewhere: Callable[[Asked], str] | None = None
        """Decides where a request for a blob is sent, if anywhere."""
        self.refused: Callable[[Asked], bool] = lambda asked: False
        self.let_go = threading.Event()
        self.guard = threading.Lock()

    def release(self) -> None:
        """End every connection that is being stalled."""
        self.let_go.set()

    def blobs(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.blob]

    def sent(self) -> int:
        return sum(asked.sent for asked in self.blobs())

    def faults(self, *faults: Fault) -> None:
        """The first requests for blobs suffer these, one each."""
        left = list(faults)

        def next_fault(asked: Asked) -> Fault | None:
            with self.guard:
                return left.pop(0) if asked.blob and left else None

        self.fault = next_fault


@contextmanager
def line(upstream: str) -> Iterator[Line]:
    """A `Line` to the registry at `upstream`, on a port of its own."""
    found = Line(upstream)

    class Handler(_Handler):
        line = found

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, request: object, client_address: object) -> None:
            """Connections break here all the time."""

    server = Server(("127.0.0.1", 0), Handler)
    found.host = f"127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.release()
        server.shutdown()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    line: Line

    def do_GET(self) -> None:
        line = self.line
        # As a proxy it gets whole URLs, as a server paths.
        path = self.path if self.path.startswith("/") else self.path.partition("://")[2].partition("/")[2]
        path = path if path.startswith("/") else f"/{path}"
        asked = Asked(self.command, path, {name.title(): value for name, value in self.headers.items()})
        if found := re.match(r"bytes=(\d+)-", self.headers.get("Range", "")):
            asked.begin = int(found[1])
        with line.guard:
            line.asked.append(asked)
        if line.gate and path.startswith("/token?"):
            self._token(line.gate)
        elif line.gate and not line.gate.admits(self.headers.get("Authorization", "")):
            self._challenge(line.gate)
        elif line.refused(asked):
            self._plain(403, b"expired")
        elif asked.blob and line.elsewhere and (location := line.elsewhere(asked)):
            self._plain(307, b"over there", Location=location)
        else:
            self._pass_on(asked, path)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def _token(self, gate: Gate) -> None:
        try:
            token = gate.token(f"http://{self.line.host}{self.path}", self.headers["Authorization"])
        except Exception as error:
            self._plain(401, f"bad signature: {error!r}".encode())
        else:
            self._plain(200, f'{{"token":"{token}"}}'.encode())

    def _challenge(self, gate: Gate) -> None:
        self._drain()
        realm = gate.realm or f"http://{self.line.host}/token"
        scope = "repository:library/x:pull repository:library/y:pull"
        challenge = f'Bearer realm="{realm}",service="puna tests",scope="{scope}"'
        self._plain(401, b"{}", **{"WWW-Authenticate": challenge})

    def _drain(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _plain(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _pass_on(self, asked: Asked, path: str) -> None:
        fault = self.line.fault(asked)
        if fault and fault.kind == "status":
            self._drain()
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            self._plain(fault.status, b"no luck", **headers)
            return
        if fault and fault.kind == "html":
            self._plain(200, b"<html>Please log in</html>", **{"Content-Type": "text/html; charset=utf-8"})
            return
        if fault and asked.method == "PATCH":
            asked.received = len(self.rfile.read(fault.after))
            self._break("cut")
            return
        body = self._drain() or None
        asked.received = len(body or b"")
        headers = {name: value for name, value in self.headers.items() if name.lower() != "authorization"}
        if fault and fault.kind == "unranged":
            headers.pop("Range", None)
        upstream = http.client.HTTPConnection(self.line.upstream, timeout=30)
        try:
            upstream.request(asked.method, path, body, headers)
            answer = upstream.getresponse()
            self._answer(asked, answer, fault)
        finally:
            upstream.close()

    def _answer(self, asked: Asked, answer: http.client.HTTPResponse, fault: Fault | None) -> None:
        kind = fault.kind if fault else ""
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() == "location":
                value = value.replace(self.line.upstream, self.line.host)
            if kind in ("endless", "longer") and name.lower() == "content-length":
                continue
            self.send_header(name, value)
        if kind in ("endless", "longer"):
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD":
            return
        while piece := answer.read(_PIECE):
            if fault and kind in ("cut", "end", "stall") and asked.sent + len(piece) > fault.after:
                self._send(asked, piece[: fault.after - asked.sent], kind)
                self._break(kind)
                return
            if fault and kind == "corrupt" and asked.sent <= fault.after < asked.sent + len(piece):
                at = fault.after - asked.sent
                piece = piece[:at] + bytes([piece[at] ^ 1]) + piece[at + 1 :]
            self._send(asked, piece, kind)
        if kind == "longer":
            self._send(asked, b"more", kind)
        while kind == "endless":
            self._send(asked, bytes(_PIECE), kind)
        if kind == "longer":
            self.wfile.write(b"0\r\n\r\n")

    def _send(self, asked: Asked, piece: bytes, kind: str) -> None:
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if kind in ("endless", "longer") else piece
        self.wfile.write(framed)
        self.wfile.flush()
        asked.sent += len(piece)

    def _break(self, kind: str) -> None:
        self.close_connection = True
        if kind == "stall":
            with suppress(OSError):
                self.connection.settimeout(0.02)
                while not self.line.let_go.is_set():
                    try:
                        if not self.connection.recv(1):
                            return
                    except TimeoutError:
                        continue
        elif kind == "cut":
            # Closing now resets the connection instead of ending it.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
