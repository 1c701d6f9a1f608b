"""The guide's programs and requests, run as they are printed; `guide/` holds them to the letter."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.clients.conftest import ANSWER_TOKENS
from tests.running import Server

HERE = Path(__file__).parent
GUIDE = HERE / "guide"


def output(command: list[str], server: Server, **environment: str) -> str:
    """What a program prints when it finds `server` where the guide's would find theirs."""
    done = subprocess.run(
        command,
        env=server.environment() | environment,
        cwd=HERE,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def python(program: str, server: Server) -> str:
    return output([sys.executable, str(GUIDE / program)], server, PYTHONIOENCODING="utf-8")


@pytest.fixture
def curl(guide_server: Server, tmp_path: Path):
    """Runs a guide's shell lines; curl alone is told that localhost:11434 is elsewhere today."""
    (tmp_path / ".curlrc").write_text(
        f'connect-to = "localhost:11434:127.0.0.1:{guide_server.port}"\nsilent\n'
    )

    def run(program: str) -> list[dict[str, Any]]:
        lines = output(["sh", str(GUIDE / program)], guide_server, CURL_HOME=str(tmp_path)).splitlines()
        return [json.loads(line) for line in lines]

    return run


def test_curl_chat(curl):
    (answer,) = curl("chat.sh")
    assert answer["model"] == "qwen3"
    assert answer["message"]["role"] == "assistant"
    assert answer["message"]["content"].strip()
    assert answer["done"] is True
    assert len(answer["context"]) > answer["eval_count"] > 0
    assert answer["total_duration"] >= answer["prompt_eval_duration"] + answer["eval_duration"] > 0


def test_curl_stream(curl):
    *parts, last = curl("stream.sh")
    assert len(parts) > 3
    assert not any(part["done"] for part in parts)
    assert "".join(part["message"]["content"] for part in parts).strip()
    assert last["done"] is True
    assert last["done_reason"] in ("stop", "length")
    assert 0 < last["eval_count"] <= ANSWER_TOKENS


def test_curl_embeddings(curl):
    (answer,) = curl("embeddings.sh")
    assert len(answer["embedding"]) == 384


def test_python_chat(guide_server: Server):
    assert python("chat.py", guide_server).strip()


def test_python_stream(guide_server: Server):
    assert python("stream.py", guide_server).strip()


def test_python_embeddings(guide_server: Server):
    vector = ast.literal_eval(python("embeddings.py", guide_server))
    assert len(vector) == 384
    assert all(isinstance(number, float) for number in vector)


def test_node_chat(guide_server: Server):
    preload = (HERE / "preload.mjs").as_uri()
    assert output(["node", "--import", preload, str(GUIDE / "chat.mjs")], guide_server).strip()
