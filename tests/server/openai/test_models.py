"""GET /v1/models and /v1/models/{id}."""

from __future__ import annotations

import time

import httpx
import pytest

WRITER = "somewhere.example/me/writer:v1"


def test_the_list(openai_http: httpx.Client):
    body = openai_http.get("/v1/models").json()
    assert body["object"] == "list"
    models = {entry["id"]: entry for entry in body["data"]}
    assert {"talker:latest", "thinker:latest", WRITER} <= set(models)
    assert models["talker:latest"]["owned_by"] == "library"
    assert models[WRITER]["owned_by"] == "me"
    now = time.time()
    assert all(entry["object"] == "model" and now - 3600 < entry["created"] <= now for entry in body["data"])


@pytest.mark.parametrize(
    ("name", "owner"), [("talker", "library"), ("talker:latest", "library"), (WRITER, "me")]
)
def test_one_model(openai_http: httpx.Client, name: str, owner: str):
    body = openai_http.get(f"/v1/models/{name}").json()
    assert (body["id"], body["object"], body["owned_by"]) == (name, "model", owner)


@pytest.mark.parametrize("name", ["nobody", "no/body:here"])
def test_a_model_that_is_not_there(openai_http: httpx.Client, name: str):
    answer = openai_http.get(f"/v1/models/{name}")
    assert answer.status_code == 404
    assert answer.json() == {
        "error": {
            "message": f"model '{name}' not found",
            "type": "not_found_error",
            "param": "model",
            "code": "model_not_found",
        }
    }
