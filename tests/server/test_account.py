"""What clients of a real Ollama ask besides: accounts, cloud, web search and pages, kept requests."""

from __future__ import annotations

import gzip
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.running import serving


def test_nobody_is_signed_in(http: httpx.Client):
    who = http.post("/api/me")
    assert (who.status_code, who.json()["error"]) == (401, "unauthorized")
    for answer in (http.post("/api/signout"), http.delete("/api/user/keys/abc")):
        assert (answer.status_code, answer.json()) == (401, {"error": "you are not currently signed in"})
    assert http.get("/api/status").json() == {"cloud": {"disabled": False, "source": "none"}}
    assert http.get("/api/experimental/model-recommendations").json() == {"recommendations": []}


def test_the_cloud_is_switched_off(store: Path):
    with serving(store, OLLAMA_NO_CLOUD="1") as server:
        told = httpx.get(f"{server.url}/api/status").json()
    assert told == {"cloud": {"disabled": True, "source": "env"}}


def test_without_a_search_engine_it_says_so(http: httpx.Client):
    for path in ("/api/experimental/web_search", "/api/web_search"):
        answer = http.post(path, json={"query": "why?"})
        assert answer.status_code == 501
        assert "PUNA_SEARCH_URL" in answer.json()["error"]


@pytest.mark.parametrize("path", ["/api/experimental/web_search", "/api/web_search"])
def test_search(store: Path, engine: str, path: str):
    with serving(store, PUNA_SEARCH_URL=engine) as server:
        ask = lambda **body: httpx.post(f"{server.url}{path}", json=body)  # noqa: E731
        found = ask(query="why?", max_results=2).json()["results"]
        assert found == [{"title": f"T{n}", "url": f"http://r/{n}", "content": f"C{n}"} for n in range(2)]
        assert len(ask(query="why?").json()["results"]) == 5
        assert len(ask(query="why?", max_results=100).json()["results"]) == 10
        assert ask(query=" ").status_code == 400
        refused = ask(query="other")
        assert refused.status_code == 502
        assert engine in refused.json()["error"]


def test_a_search_engine_that_is_gone(store: Path):
    with serving(store, PUNA_SEARCH_URL="http://127.0.0.1:9") as server:
        answer = httpx.post(f"{server.url}/api/web_search", json={"query": "why?"})
    assert answer.status_code == 502
    assert "127.0.0.1:9" in answer.json()["error"]


def test_a_page(store: Path, engine: str):
    with serving(store, PUNA_FETCH_PRIVATE="1") as server:
        ask = lambda url: httpx.post(f"{server.url}/api/experimental/web_fetch", json={"url": url})  # noqa: E731
        assert ask(f"{engine}/page").json() == {
            "title": "A & B",
            "content": "Heading\nFirst words next\none\ntwo mail",
            "links": [f"{engine}/next?x=1"],
        }
        assert ask(f"{engine}/text").json() == {"title": "", "content": "plain words", "links": []}
        for url in (f"{engine}/picture", f"{engine}/gone", "ftp://a/b", "no"):
            assert ask(url).status_code == 400
        assert ask("").status_code == 400


def test_a_page_of_the_servers_own_network(http: httpx.Client, engine: str):
    answer = http.post("/api/web_fetch", json={"url": f"{engine}/page"})
    assert answer.status_code == 400
    assert "public" in answer.json()["error"]


@pytest.mark.parametrize("coding", ["identity", "gzip"])
def test_requests_are_kept_and_sent_again(
    store: Path, add_scripted: Callable[..., Any], tmp_path: Path, coding: str
):
    add_scripted("m", "Hello there")
    body = {"model": "m", "messages": [{"role": "user", "content": "Grüß dich"}], "stream": False}
    sent = json.dumps(body).encode()
    if coding == "gzip":
        sent = gzip.compress(sent)
    with serving(store, OLLAMA_DEBUG_LOG_REQUESTS="1", TMPDIR=str(tmp_path)) as server:
        headers = {"content-encoding": coding}
        first = httpx.post(f"{server.url}/api/chat", content=sent, headers=headers).json()
        httpx.get(f"{server.url}/api/tags")
        (folder,) = tmp_path.glob("puna-request-logs-*")
        (kept,) = folder.glob("*_body.json")
        assert kept.read_bytes() == sent
        assert oct(kept.stat().st_mode & 0o777) == "0o600"
        (script,) = folder.glob("*.sh")
        again = subprocess.run(["sh", str(script)], capture_output=True, check=True).stdout
        assert json.loads(again)["message"] == first["message"]
        assert any(re.search(rf"sh {re.escape(str(script))}", line) for line in server.log)
