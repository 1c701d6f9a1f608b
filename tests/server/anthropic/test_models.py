"""GET /v1/models as Anthropic's clients expect it; OpenAI's get theirs."""

from __future__ import annotations

import httpx


def test_models_are_listed(claude: httpx.Client):
    page = claude.get("/v1/models", params={"limit": 1000}).json()
    names = [model["id"] for model in page["data"]]
    assert {"talker:latest", "somewhere.example/me/writer:v1"} <= set(names)
    assert (page["first_id"], page["last_id"], page["has_more"]) == (names[0], names[-1], False)
    assert {model["type"] for model in page["data"]} == {"model"}
    assert "object" in httpx.get(claude.base_url.join("/v1/models")).json()


def test_one_model(claude: httpx.Client):
    model = claude.get("/v1/models/somewhere.example/me/writer:v1").json()
    assert model.pop("created_at").startswith("20")
    name = "somewhere.example/me/writer:v1"
    assert model == {"type": "model", "id": name, "display_name": name, "lifecycle": "active"}
    answer = claude.get("/v1/models/nobody")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found_error")
