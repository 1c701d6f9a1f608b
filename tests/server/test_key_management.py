"""Keys over HTTP, and what the description and the metrics say of keys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from puna.access import add_key, new_key
from puna.server.scopes import required_scope
from tests.running import Server, serving
from tests.server.conftest import Make


@pytest.fixture
def http(keyed: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=keyed.url, timeout=60) as client:
        yield client


def chat(http: httpx.Client, headers: dict[str, str], model: str = "talker") -> httpx.Response:
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": "hello"}],
        "stream": False,
    }
    return http.post("/api/chat", json=body, headers=headers)


def test_an_admin_makes_lists_and_revokes_keys_over_http(http: httpx.Client, make: Make):
    admin = make(scopes=["admin"])
    wanted = {
        "name": "over http",
        "models": ["talker"],
        "tokens_per_day": 1000,
        "expires": "2099-01-01T00:00:00Z",
    }
    made = http.post("/api/keys", json=wanted, headers=admin).json()
    key, secret = made["key"], {"authorization": f"Bearer {made['secret']}"}
    assert {name: key[name] for name in wanted} == wanted
    assert key["scopes"] == ["infer"]
    assert chat(http, secret).status_code == 200
    assert chat(http, secret, "go").status_code == 403
    listed = http.get("/api/keys", headers=admin)
    assert made["secret"] not in listed.text
    (found,) = [one for one in listed.json()["keys"] if one["id"] == key["id"]]
    assert found["tokens_today"] > 0
    assert found["last_used"] is not None
    assert http.delete(f"/api/keys/{key['id']}", headers=admin).status_code == 200
    assert chat(http, secret).status_code == 401
    assert http.delete(f"/api/keys/{key['id']}", headers=admin).status_code == 404


@pytest.mark.parametrize("scopes", [["infer"], ["manage"], ["infer", "manage"]])
def test_keys_are_an_admins_alone(http: httpx.Client, make: Make, scopes: list[str]):
    headers = make(scopes=scopes)
    for method, path in (("GET", "/api/keys"), ("POST", "/api/keys"), ("DELETE", "/api/keys/first")):
        answer = http.request(method, path, json={"name": "mine", "scopes": ["admin"]}, headers=headers)
        assert answer.status_code == 403
    admin = make(scopes=["admin"])
    assert "mine" not in http.get("/api/keys", headers=admin).text


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "first"},
        {"name": "new", "scopes": ["root"]},
        {"name": "new", "request_per_minute": 5},
        {"name": "new", "hash": "00", "id": "00"},
        {"name": "new", "expires": "tomorrow"},
        {"name": "new", "expires": "2099-01-01T00:00:00"},
        {"name": "new", "concurrent": -1},
        {"name": "new", "models": ["///"]},
        [],
    ],
)
def test_a_key_that_cannot_be_made_is_refused(http: httpx.Client, make: Make, body: object):
    admin = make(scopes=["admin"])
    before = http.get("/api/keys", headers=admin).json()["keys"]
    answer = http.post("/api/keys", json=body, headers=admin)
    assert answer.status_code == 400, answer.text
    assert len(http.get("/api/keys", headers=admin).json()["keys"]) == len(before)


def test_the_first_key_is_not_made_over_http(tmp_path: Path):
    with serving(tmp_path / "models") as server:
        answer = httpx.post(f"{server.url}/api/keys", json={"name": "mine", "scopes": ["admin"]})
        assert answer.status_code == 403
        assert "puna keys create" in answer.json()["error"]
        assert not server.keys.exists()


def test_the_description_says_where_a_key_is_asked_for(http: httpx.Client):
    description = http.get("/openapi.json").json()
    for path, methods in description["paths"].items():
        for operation in methods.values():
            asks = required_scope(path) is not None
            assert ("security" in operation) == asks
            assert ({"401", "403", "429"} <= set(operation["responses"])) == asks


def test_the_metrics_count_by_key(keyed: Server, http: httpx.Client, make: Make):
    admin = make(scopes=["manage"])

    def counted() -> tuple[float, float, float]:
        lines = http.get("/metrics", headers=admin).text.splitlines()
        found = {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line[:1] != "#"}
        answered = found.get('puna_key_requests_total{key="counted",status="200"}', 0)
        refused = found.get('puna_key_requests_total{key="counted",status="403"}', 0)
        return answered, refused, found.get('puna_key_tokens_total{key="counted"}', 0)

    key, secret = new_key("counted", models=["talker"])
    add_key(keyed.keys, key)
    mine = {"authorization": f"Bearer {secret}"}
    answer = chat(http, mine).json()
    assert chat(http, mine, "go").status_code == 403
    assert chat(http, {"authorization": "Bearer puna_counted_none"}).status_code == 401
    assert counted() == (1, 1, answer["prompt_eval_count"] + answer["eval_count"])
