"""The environment's proxies and certificates, on the way to the server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.cli.conftest import Ended, Recorded
from tests.running import run_puna

Puna = Callable[..., Ended]
LISTED = "/api/tags"


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_server_elsewhere_is_asked_through_the_proxy(
    puna: Puna, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
):
    recorded.answers[f"http://server.invalid:5000{LISTED}"] = lambda _: {"models": []}
    monkeypatch.setenv("OLLAMA_HOST", "server.invalid:5000")
    monkeypatch.setenv("HTTP_PROXY", recorded.url)
    assert puna("list").status == 0
    assert [path for path, _ in recorded.asked] == [f"http://server.invalid:5000{LISTED}"]


def test_no_proxy_is_read_as_in_go(puna: Puna, recorded: Recorded, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", "server.invalid")
    monkeypatch.setenv("HTTP_PROXY", recorded.url)
    monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,*.invalid")
    assert "could not connect to Puna at http://server.invalid:11434" in puna("list").err
    assert recorded.asked == []


def test_a_proxy_that_is_not_there_is_named(puna: Puna, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", "server.invalid")
    monkeypatch.setenv("HTTP_PROXY", "me:secret@127.0.0.1:1")
    assert puna("list").err == (
        "Error: could not connect to Puna at http://server.invalid:11434: "
        "is it running there, and the proxy http://127.0.0.1:1?\n"
    )


def test_a_proxy_of_an_unknown_kind_is_named(puna: Puna, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OLLAMA_HOST", "server.invalid")
    monkeypatch.setenv("HTTP_PROXY", "socks5://me:secret@127.0.0.1:9")
    ended = puna("list")
    assert (ended.status, ended.err) == (
        1,
        "Error: cannot use the proxy socks5://127.0.0.1:9: it must be an HTTP proxy\n",
    )


@pytest.mark.parametrize(
    "variables",
    [
        {"HTTP_PROXY": "http://127.0.0.1:1"},
        {"ALL_PROXY": "socks5://127.0.0.1:1"},
        {"https_proxy": "nonsense://127.0.0.1:1"},
        {"SSL_CERT_FILE": "/nothing/here.pem"},
    ],
)
def test_none_of_them_matters_for_this_machine(
    recorded: Recorded, environment: dict[str, str], variables: dict[str, str]
):
    recorded.answers[LISTED] = lambda _: {"models": []}
    ended = run_puna("list", env=environment | variables)
    assert (ended.returncode, ended.stderr) == (0, "")
