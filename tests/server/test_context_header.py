"""A header asks for a context where a dialect's body has no field for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.models import install, scripted_model
from tests.running import Server, serving

HEADER = "Puna-Num-Ctx"
TURNS = [{"role": "user", "content": "Hi"}]
ASKED: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": TURNS},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"messages": TURNS, "max_tokens": 5},
    "/v1/messages/count_tokens": {"messages": TURNS},
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("context")
    scripted_model(folder / "m.gguf", "Yes.")
    install(folder / "models", "m", folder / "m.gguf", parameters={"num_ctx": 300})
    with serving(folder / "models") as server:
        yield server


def ask(server: Server, path: str, headers: dict[str, str]) -> httpx.Response:
    return httpx.post(server.url + path, json={"model": "m"} | ASKED[path], headers=headers, timeout=60)


@pytest.mark.parametrize(("headers", "gets"), [({}, 300), ({HEADER: "700"}, 700)])
@pytest.mark.parametrize("path", ASKED)
def test_the_model_is_loaded_with_what_it_asks_for(
    server: Server, path: str, headers: dict[str, str], gets: int
):
    httpx.post(f"{server.url}/api/generate", json={"model": "m", "keep_alive": 0}, timeout=60)
    assert ask(server, path, headers).status_code == 200
    (loaded,) = httpx.get(f"{server.url}/api/ps").json()["models"]
    assert loaded["context_length"] == gets


@pytest.mark.parametrize("given", ["0", "-5", "many", "1e3", "", "9999999999"])
@pytest.mark.parametrize("path", ASKED)
def test_what_is_no_number_of_tokens_is_refused(server: Server, path: str, given: str):
    refused = ask(server, path, {HEADER: given})
    assert refused.status_code == 400
    assert HEADER.lower() in refused.json()["error"]["message"]
