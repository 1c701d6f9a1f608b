"""Who may call: the rules that keep other people's web pages away from a local server."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from puna.server.origins import Origins, is_local, is_loopback


def client(*origins: str, host: str = "127.0.0.1") -> httpx.AsyncClient:
    async def root(request: Request) -> PlainTextResponse:
        return PlainTextResponse("in")

    app = Origins(Starlette(routes=[Route("/", root)]), origins, host)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:11434")


@pytest.mark.parametrize(
    "origin",
    [
        "http://localhost",
        "https://localhost:3000",
        "http://127.0.0.1:8080",
        "http://0.0.0.0:1",
        "app://obsidian.md",
        "file://",
        "tauri://localhost",
        "vscode-webview://abc",
        "vscode-file://vscode-app",
        "https://chat.example.com",
        "chrome-extension://anything",
    ],
)
async def test_a_known_origin_may_call(origin: str):
    async with client("https://chat.example.com", "chrome-extension://*") as http:
        answer = await http.get("/", headers={"origin": origin})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == origin
    assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example.com",
        "http://localhost.evil.example.com",
        "http://chat.example.com",
        "https://chat.example.com.evil.example.com",
        "https://chatXexample.com",
        "null",
    ],
)
async def test_another_origin_is_refused(origin: str):
    async with client("https://chat.example.com") as http:
        answer = await http.get("/", headers={"origin": origin})
    assert answer.status_code == 403
    assert answer.text == ""


async def test_a_page_of_the_server_itself_may_call():
    async with client(host="0.0.0.0") as http:
        headers = {"origin": "http://puna.example.com:11434", "host": "puna.example.com:11434"}
        assert (await http.get("/", headers=headers)).text == "in"


async def test_a_star_lets_everyone_in():
    async with client("*") as http:
        answer = await http.get("/", headers={"origin": "https://anyone.example.com"})
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_a_preflight_is_answered_without_reaching_the_application():
    async with client() as http:
        asking = {"origin": "http://localhost:3000", "access-control-request-method": "POST"}
        answer = await http.options("/nowhere", headers=asking)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "http://localhost:3000"
    assert "DELETE" in answer.headers["access-control-allow-methods"]
    allowed = answer.headers["access-control-allow-headers"].lower().split(",")
    assert {"content-type", "authorization", "x-api-key", "anthropic-version"} <= set(allowed)


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost:11434", 200), ("box.local", 200), ("192.168.1.7:80", 200), ("evil.example.com", 403)],
)
async def test_on_loopback_the_host_header_must_be_local(host: str, status: int):
    async with client() as http:
        assert (await http.get("/", headers={"host": host})).status_code == status


async def test_on_another_address_any_host_header_will_do():
    async with client(host="0.0.0.0") as http:
        assert (await http.get("/", headers={"host": "evil.example.com"})).status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_addresses(host: str):
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "example.com"])
def test_addresses_others_can_reach(host: str):
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["", "LOCALHOST", "[::1]:11434", "[::1]", "127.0.0.1", "0.0.0.0:1", "10.0.0.1", "host.docker.internal"],
)
def test_local_hosts(host: str):
    assert is_local(host)


@pytest.mark.parametrize(
    "host", ["example.com:11434", "8.8.8.8", "localhost.example.com", "local", "[2001:4860::1]"]
)
def test_foreign_hosts(host: str):
    assert not is_local(host)
