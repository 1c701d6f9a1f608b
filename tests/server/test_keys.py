"""A real server that asks for keys: who gets in, how far, and in whose words the others are refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import BaseRoute, Mount, Route

from puna.access import add_key, new_key, read_usage, remove_key, usage_path
from puna.server.app import ROUTES
from puna.server.scopes import required_scope
from tests.running import Server, keys_file, serving
from tests.server.conftest import Make, add_models

HELLO = [{"role": "user", "content": "hello"}]
CHAT = {"model": "talker", "messages": HELLO, "stream": False}
ANTHROPIC = {"anthropic-version": "2023-06-01"}

# One request of each dialect: path, body, headers.
DIALECTS: dict[str, tuple[str, dict[str, Any], dict[str, str]]] = {
    "ollama": ("/api/chat", CHAT, {}),
    "openai": ("/v1/chat/completions", CHAT, {}),
    "responses": ("/v1/responses", {"model": "talker", "input": "hello"}, {}),
    "anthropic": ("/v1/messages", {"model": "talker", "messages": HELLO, "max_tokens": 9}, ANTHROPIC),
    "rerank": ("/v1/rerank", {"model": "talker", "query": "q", "documents": ["d"]}, {}),
}
SPEAKERS = sorted(DIALECTS)


@pytest.fixture
def http(keyed: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=keyed.url, timeout=60) as client:
        yield client


def ask(http: httpx.Client, dialect: str, headers: dict[str, str], **fields: Any) -> httpx.Response:
    path, body, own = DIALECTS[dialect]
    return http.post(path, json=body | fields, headers=headers | own)


def told(dialect: str, answer: httpx.Response) -> tuple[str, str]:
    """What an error says and of what kind it is, in the shape of its dialect."""
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    if dialect in ("openai", "responses"):
        assert set(body["error"]) == {"message", "type", "param", "code"}
        return body["error"]["message"], body["error"]["code"]
    if dialect == "anthropic":
        assert body["type"] == "error"
        assert body["request_id"] == answer.headers["request-id"]
        return body["error"]["message"], body["error"]["type"]
    assert list(body) == ["error"]
    return body["error"], ""


def kind(dialect: str, openai: str, anthropic: str) -> str:
    return {"openai": openai, "responses": openai, "anthropic": anthropic}.get(dialect, "")


@pytest.mark.parametrize("dialect", SPEAKERS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer ollama"},
        {"authorization": "Basic cHVuYTpwdW5h"},
        {"x-api-key": "puna_00000000_guessed"},
        {"authorization": "Bearer puna_\xff"},
    ],
)
def test_without_a_known_key_nobody_gets_in(http: httpx.Client, dialect: str, headers: dict[str, str]):
    path, body, own = DIALECTS[dialect]
    answer = http.post(path, json=body, headers=httpx.Headers(headers | own, encoding="latin-1"))
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    message, found = told(dialect, answer)
    assert "OLLAMA_API_KEY" in message
    assert found == kind(dialect, "invalid_api_key", "authentication_error")


@pytest.mark.parametrize("dialect", ["ollama", "openai", "responses", "anthropic"])
@pytest.mark.parametrize(
    "spelled",
    [
        lambda secret: {"authorization": f"Bearer {secret}"},
        lambda secret: {"authorization": f"bearer   {secret}"},
        lambda secret: {"x-api-key": secret},
        lambda secret: {"authorization": "Bearer placeholder", "x-api-key": secret},
        lambda secret: {"authorization": f"Bearer {secret}", "x-api-key": "placeholder"},
        lambda secret: {"authorization": "Basic cHVuYTpwdW5h", "x-api-key": secret},
    ],
)
def test_a_key_opens_every_dialect_however_it_is_sent(
    http: httpx.Client, make: Make, dialect: str, spelled: Callable[[str], dict[str, str]]
):
    secret = make()["authorization"].split()[1]
    answer = ask(http, dialect, spelled(secret))
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("dialect", SPEAKERS)
def test_a_key_without_the_scope_is_refused(http: httpx.Client, make: Make, dialect: str):
    answer = ask(http, dialect, make(scopes=["manage"]))
    assert answer.status_code == 403
    message, found = told(dialect, answer)
    assert '"infer"' in message
    assert found == kind(dialect, "missing_scope", "permission_error")


@pytest.mark.parametrize("dialect", SPEAKERS)
def test_a_model_that_a_key_does_not_allow_is_refused_whether_it_exists_or_not(
    http: httpx.Client, make: Make, dialect: str
):
    headers = make(models=["go", "vectors:*"])
    for model in ("talker", "talker:latest", "TALKER", "no-such-model", "registry.ollama.ai/library/talker"):
        answer = ask(http, dialect, headers, model=model)
        assert answer.status_code == 403, answer.text
        assert told(dialect, answer)[1] == kind(dialect, "model_not_found", "permission_error")


@pytest.mark.parametrize("dialect", SPEAKERS)
def test_a_limit_is_told_with_when_to_come_again(http: httpx.Client, make: Make, dialect: str):
    headers = make(requests_per_minute=1)
    assert http.get("/api/tags", headers=headers).status_code == 200
    answer = ask(http, dialect, headers)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert told(dialect, answer)[1] == kind(dialect, "rate_limit_exceeded", "rate_limit_error")


def test_what_is_kept_and_listed_of_models_is_what_a_key_allows(http: httpx.Client, make: Make):
    headers = make(models=["go", "vectors:*"])
    assert {model["name"] for model in http.get("/api/tags", headers=headers).json()["models"]} == {
        "go:latest",
        "vectors:latest",
    }
    for own in ({}, ANTHROPIC):
        listed = http.get("/v1/models", headers=headers | own).json()["data"]
        assert {model["id"] for model in listed} == {"go:latest", "vectors:latest"}
        assert http.get("/v1/models/go", headers=headers | own).status_code == 200
        assert http.get("/v1/models/talker", headers=headers | own).status_code == 403
    assert http.post("/api/show", json={"model": "go"}, headers=headers).status_code == 200
    assert http.post("/api/show", json={"model": "talker"}, headers=headers).status_code == 403
    ask(http, "ollama", make())
    running = {model["name"] for model in http.get("/api/ps", headers=make()).json()["models"]}
    assert "talker:latest" in running
    assert http.get("/api/ps", headers=headers).json()["models"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/generate", {"model": "talker", "prompt": "hi"}),
        ("/api/generate", {"model": "talker"}),
        ("/api/generate", {"model": "talker", "keep_alive": 0}),
        ("/api/embed", {"model": "talker", "input": "hi"}),
        ("/api/embeddings", {"model": "talker", "prompt": "hi"}),
        ("/api/tokenize", {"model": "talker", "text": "hi"}),
        ("/v1/completions", {"model": "talker", "prompt": "hi"}),
        ("/v1/embeddings", {"model": "talker", "input": "hi"}),
        ("/v1/messages/count_tokens", {"model": "talker", "messages": HELLO}),
        ("/v1/responses/input_tokens", {"model": "talker", "input": "hi"}),
        ("/api/pull", {"model": "talker"}),
        ("/api/push", {"model": "talker"}),
        ("/api/copy", {"source": "talker", "destination": "go"}),
        ("/api/copy", {"source": "go", "destination": "talker"}),
        ("/api/create", {"model": "go", "from": "talker"}),
        ("/api/create", {"model": "talker", "from": "go"}),
        ("/api/delete", {"model": "talker"}),
    ],
)
def test_no_path_leads_to_a_model_that_is_not_allowed(
    http: httpx.Client, make: Make, path: str, body: dict[str, Any]
):
    headers = make(scopes=["infer", "manage"], models=["go"])
    method = "DELETE" if path == "/api/delete" else "POST"
    answer = http.request(method, path, json=body, headers=headers)
    assert answer.status_code == 403, answer.text


def test_a_key_made_or_revoked_counts_at_once(http: httpx.Client, make: Make, keyed: Server):
    headers = make()
    assert http.get("/api/tags", headers=headers).status_code == 200
    remove_key(keyed.keys, headers["authorization"].split("_")[1])
    assert http.get("/api/tags", headers=headers).status_code == 401


def test_an_expired_key_is_refused(http: httpx.Client, make: Make):
    answer = http.get("/api/tags", headers=make(expires="2020-01-01T00:00:00Z"))
    assert answer.status_code == 401
    assert "expired" in answer.json()["error"]


def test_requests_at_once_are_limited_and_an_answer_given_up_makes_room(http: httpx.Client, make: Make):
    headers = make(concurrent=1)
    body = {"model": "endless", "prompt": "go", "options": {"num_predict": 100_000_000, "num_ctx": 512}}
    with http.stream("POST", "/api/generate", json=body, headers=headers) as answer:
        lines = answer.iter_lines()
        next(lines)
        refused = http.get("/api/tags", headers=headers)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) >= 1
    deadline = time.monotonic() + 30
    while http.get("/api/tags", headers=headers).status_code == 429:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_tokens_of_an_answer_that_was_given_up_are_counted(http: httpx.Client, make: Make):
    headers = make(tokens_per_day=30)
    body = {"model": "endless", "prompt": "go", "options": {"num_predict": 100_000_000, "num_ctx": 512}}
    with http.stream("POST", "/api/generate", json=body, headers=headers) as answer:
        lines = answer.iter_lines()
        for _ in range(20):
            next(lines)
    deadline = time.monotonic() + 30
    while (refused := ask(http, "openai", headers)).status_code != 429:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert refused.json()["error"]["type"] == "tokens"
    assert 1 <= int(refused.headers["retry-after"]) <= 86_400


def test_use_outlives_the_server(tmp_path: Path):
    store = tmp_path / "models"
    add_models(tmp_path / "model.gguf", store)
    key, secret = new_key("ann", tokens_per_day=20)
    add_key(keys_file(store), key)
    headers = {"authorization": f"Bearer {secret}"}
    with serving(store) as server:
        answer = httpx.post(f"{server.url}/api/chat", json=CHAT, headers=headers, timeout=60).json()
        counted = answer["prompt_eval_count"] + answer["eval_count"]
    used = read_usage(usage_path(keys_file(store)))[key.id]
    assert used.tokens == counted >= 20
    assert time.time() - 60 < used.last <= time.time()
    with serving(store) as server:
        refused = httpx.post(f"{server.url}/api/chat", json=CHAT, headers=headers, timeout=60)
        assert refused.status_code == 429


def test_kept_answers_are_found_by_their_own_key_only(http: httpx.Client, make: Make):
    ann, bob = make(share="team"), make(share="team")
    id = ask(http, "responses", ann).json()["id"]
    assert http.get(f"/v1/responses/{id}", headers=ann).status_code == 200
    assert http.get(f"/v1/responses/{id}", headers=bob).status_code == 404
    assert http.delete(f"/v1/responses/{id}", headers=bob).status_code == 404
    assert ask(http, "responses", bob, previous_response_id=id).status_code == 400
    assert ask(http, "responses", ann, previous_response_id=id).status_code == 200


def test_the_page_and_the_version_are_everybodys(http: httpx.Client):
    assert http.get("/").text == "Ollama is running"
    for path in ("/api/version", "/ui", "/docs", "/openapi.json"):
        assert http.get(path).status_code == 200
    for path in ("/api/tags", "/api/ps", "/v1/models", "/metrics", "/nowhere", "/api/version/more", "/uix"):
        assert http.get(path).status_code == 401
        assert http.head(path).status_code == 401


def test_paths_spelled_otherwise_need_the_same_scope(http: httpx.Client, make: Make):
    headers = make()
    for path in (
        "/api/delete",
        "//api//delete",
        "/api/%64elete",
        "/api/./delete",
        "/api/delete/",
        "/API/delete",
    ):
        body = {"model": "talker"}
        answer = http.request("DELETE", path, json=body, headers=headers)
        assert answer.status_code in (403, 404, 307), path
    assert http.post("/api/show", json={"model": "talker"}, headers=headers).status_code == 200


def test_measures_tell_of_everybody_and_need_more_than_a_users_key(http: httpx.Client, make: Make):
    assert http.get("/metrics", headers=make()).status_code == 403
    assert "puna_http_requests" in http.get("/metrics", headers=make(scopes=["manage"])).text


def leaves(routes: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, set[str]]]:
    for route in routes:
        if isinstance(route, Mount):
            yield from leaves(list(route.routes), prefix + route.path)
        elif isinstance(route, Route):
            yield prefix + route.path, route.methods or set()


def test_only_reading_is_for_everybody():
    public = {path for path, _ in leaves(ROUTES) if required_scope(path) is None}
    assert {"/", "/api/version", "/ui"} <= public
    assert not any("POST" in methods for path, methods in leaves(ROUTES) if path in public)


def test_without_keys_a_server_of_this_machine_is_open(tmp_path: Path):
    with serving(tmp_path / "models") as server:
        assert httpx.get(f"{server.url}/api/tags", headers={"authorization": "Bearer any"}).status_code == 200
        answer = httpx.request("DELETE", f"{server.url}/api/delete", json={"model": "none"})
        assert answer.status_code == 404
        assert "key" not in "".join(server.log)


@pytest.mark.parametrize("host", ["0.0.0.0:0", ":0"])
def test_beyond_this_machine_without_keys_nobody_manages(tmp_path: Path, host: str):
    store = tmp_path / "models"
    with serving(store, OLLAMA_HOST=host) as server:
        url = f"http://127.0.0.1:{server.port}"
        log = "".join(server.log)
        assert "puna keys create" in log
        assert "PUNA_OPEN=1" in log
        assert httpx.get(f"{url}/api/tags").status_code == 200
        for method, path in (
            ("POST", "/api/pull"),
            ("POST", "/api/push"),
            ("POST", "/api/create"),
            ("POST", "/api/copy"),
            ("DELETE", "/api/delete"),
            ("HEAD", f"/api/blobs/sha256:{'0' * 64}"),
        ):
            answer = httpx.request(method, f"{url}{path}", json={"model": "none"})
            assert answer.status_code == 403
            assert method == "HEAD" or "puna keys create" in answer.json()["error"]
        key, secret = new_key("ops", scopes=["manage"])
        add_key(server.keys, key)
        assert httpx.get(f"{url}/api/tags").status_code == 401
        managed = httpx.request(
            "DELETE", f"{url}/api/delete", json={"model": "none"}, headers={"x-api-key": secret}
        )
        assert managed.status_code == 404


def test_an_open_server_says_so_and_lets_anybody_manage(tmp_path: Path):
    with serving(tmp_path / "models", OLLAMA_HOST="0.0.0.0:0", PUNA_OPEN="1") as server:
        assert "PUNA_OPEN" in "".join(server.log)
        answer = httpx.request("DELETE", f"http://127.0.0.1:{server.port}/api/delete", json={"model": "none"})
        assert answer.status_code == 404


def test_a_keys_file_of_a_newer_version_keeps_the_server_from_starting(tmp_path: Path):
    store = tmp_path / "models"
    keys_file(store).write_text('{"format": 7, "keys": []}')
    with pytest.raises(AssertionError, match="has format 7"), serving(store):
        pass
    assert keys_file(store).read_text() == '{"format": 7, "keys": []}'


def test_two_users_at_once_are_not_taken_for_one_another(http: httpx.Client, make: Make):
    users = {name: make(models=[name]) for name in ("talker", "go")}
    wrong: list[str] = []

    def use(own: str, other: str) -> None:
        with httpx.Client(base_url=http.base_url, timeout=60) as client:
            for _ in range(15):
                body = {"model": own, "prompt": "hi", "stream": False}
                mine = client.post("/api/generate", json=body, headers=users[own])
                others = client.post("/api/generate", json=body | {"model": other}, headers=users[own])
                if (mine.status_code, others.status_code) != (200, 403):
                    wrong.append(f"{own}: {mine.text} {others.text}")

    threads = [threading.Thread(target=use, args=pair) for pair in (("talker", "go"), ("go", "talker")) * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a_prompt_that_another_key_sent_is_read_anew_unless_they_share(http: httpx.Client, make: Make):
    def cached(headers: dict[str, str]) -> int:
        body = {"model": "talker", "messages": [{"role": "user", "content": "the same long question " * 20}]}
        answer = http.post("/v1/chat/completions", json=body, headers=headers)
        return answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"]

    ann, bob = make(), make()
    assert cached(ann) == 0
    assert cached(bob) == 0
    assert cached(ann) > 0
    one, two = make(share="pair"), make(share="pair")
    assert cached(one) == 0
    assert cached(two) > 0
