"""Compressed request bodies: every coding that clients use, and bodies that cannot be read."""

from __future__ import annotations

import gzip
import json
import zlib

import httpx
import pytest
import zstandard

from puna.server.body import LIMIT
from tests.server.conftest import SCRIPT

COMPRESS = {
    "gzip": gzip.compress,
    "GZIP": gzip.compress,
    "deflate": zlib.compress,
    "zstd": zstandard.compress,
    "identity": bytes,
}
BODY = json.dumps({"model": "talker", "prompt": "Hi", "stream": False, "unknown": "x" * (3 << 20)}).encode()


def send(http: httpx.Client, body: bytes, coding: str, path: str = "/api/generate") -> httpx.Response:
    return http.post(path, content=body, headers={"content-encoding": coding})


@pytest.mark.parametrize("coding", COMPRESS)
def test_a_compressed_body_is_read(http: httpx.Client, coding: str):
    answer = send(http, COMPRESS[coding](BODY), coding)
    assert answer.json()["response"] == SCRIPT


def test_frames_in_a_row_are_one_body(http: httpx.Client):
    frames = zstandard.compress(BODY[:50]) + zstandard.compress(BODY[50:])
    assert send(http, frames, "zstd").json()["response"] == SCRIPT


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("fault", ["cut", "other"])
def test_a_damaged_body_is_refused(http: httpx.Client, coding: str, fault: str):
    whole = COMPRESS[coding](BODY)
    answer = send(http, whole[:-10] if fault == "cut" else b"plain text", coding)
    assert answer.status_code == 400


@pytest.mark.parametrize("coding", ["br", "gzip, zstd", "?"])
@pytest.mark.parametrize("path", ["/api/generate", "/v1/responses", "/v1/messages"])
def test_an_unknown_coding_is_refused_by_name(http: httpx.Client, coding: str, path: str):
    answer = send(http, BODY, coding, path)
    assert answer.status_code == 415
    assert f"Content-Encoding: {coding}" in str(answer.json()["error"])


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_a_body_that_expands_beyond_the_limit_is_refused(http: httpx.Client, coding: str):
    assert send(http, COMPRESS[coding](bytes(LIMIT + 1)), coding).status_code == 413
