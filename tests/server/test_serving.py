"""The server as a process: where it listens, how it ends, how little it takes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.running import Server, serving


def test_a_port_in_use_ends_the_server_with_the_reason(native_server: Server):
    result = subprocess.run(
        [sys.executable, "-m", "puna", "serve"],
        env=native_server.environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 1
    where = native_server.url.removeprefix("http://")
    assert result.stderr.strip() == f"Error: listen tcp {where}: bind: address already in use"


def test_an_idle_server_is_small(store: Path):
    with serving(store) as server:
        httpx.get(f"{server.url}/api/tags")
        assert psutil.Process(server.process.pid).memory_info().rss < 120 << 20


def test_a_missing_store_is_an_empty_one(store: Path):
    with serving(store / "nowhere") as server:
        assert httpx.get(f"{server.url}/api/tags").json() == {"models": []}


def test_a_server_that_is_told_to_stop_ends_its_streams_with_a_word(
    server: Server, add_scripted: Callable[..., Any]
):
    add_scripted("endless", "on and ", endless=True)
    with httpx.stream(
        "POST", f"{server.url}/api/generate", json={"model": "endless", "prompt": "go"}, timeout=60
    ) as answer:
        lines = answer.iter_lines()
        next(lines)
        server.process.send_signal(signal.SIGTERM)
        assert "error" in json.loads(list(lines)[-1])
    assert server.process.wait(timeout=30) == 0


def test_a_request_leaves_a_line_in_the_log(server: Server):
    httpx.get(f"{server.url}/api/nothing")
    server.process.send_signal(signal.SIGTERM)
    server.process.wait(timeout=30)
    assert any("404" in line and '"/api/nothing"' in line for line in server.log)


def test_half_a_request_does_not_disturb_the_server(native_server: Server):
    with socket.create_connection(("127.0.0.1", native_server.port)) as line:
        line.sendall(b"POST /api/chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert httpx.get(native_server.url).status_code == 200
