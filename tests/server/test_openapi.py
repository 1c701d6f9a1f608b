"""/openapi.json against the application's routes and against its answers, and the page that shows it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from puna.server import application
from puna.server.paths import paths
from puna.settings import Settings
from tests.conftest import REPOSITORY
from tests.hearing_models import tone, wav
from tests.server.conftest import SCRIPT

ASKED = {
    "/api/chat": {"model": "talker", "messages": [{"role": "user", "content": "Hi"}]},
    "/api/generate": {"model": "talker", "prompt": "Hi"},
    "/api/embed": {"model": "vectors", "input": ["one", "two"]},
    "/api/embeddings": {"model": "vectors", "prompt": "one"},
    "/api/rerank": {"model": "vectors", "query": "one", "documents": ["one"], "return_documents": True},
    "/v1/rerank": {"model": "vectors", "query": "one", "documents": [{"text": "one"}]},
    "/v2/rerank": {"model": "vectors", "query": "one", "documents": ["one", "two"], "top_n": 1},
    "/rerank": {"model": "vectors", "query": "one", "documents": ["one"]},
    "/api/tokenize": {"model": "talker", "text": "one"},
    "/api/detokenize": {"model": "talker", "tokens": [5, 6]},
    "/api/show": {"model": "talker", "verbose": True},
    "/v1/chat/completions": {"model": "talker", "messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"model": "talker", "prompt": "Hi"},
    "/v1/embeddings": {"model": "vectors", "input": "one"},
    "/v1/responses": {"model": "talker", "input": "Hi"},
    "/v1/responses/input_tokens": {"model": "talker", "input": "Hi"},
    "/v1/messages": {"model": "talker", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]},
    "/v1/messages/count_tokens": {"model": "talker", "messages": [{"role": "user", "content": "Hi"}]},
}
"""A request for each path that answers one with an object."""

Description = dict[str, Any]


@pytest.fixture(scope="module")
def description(native_server: Any) -> Description:
    return httpx.get(f"{native_server.url}/openapi.json").json()


def closed(components: dict[str, Any]) -> dict[str, Any]:
    """The components without room for fields that are not described."""
    schemas = components["schemas"].items()
    shut = {name: one | {"additionalProperties": False} for name, one in schemas if "properties" in one}
    return {"schemas": components["schemas"] | shut}


def fits(description: Description, path: str, method: str, answer: httpx.Response) -> None:
    """Assert that the description has `answer`, with no field more, for this operation."""
    responses = description["paths"][path][method]["responses"]
    said = responses[str(answer.status_code)]
    media = answer.headers["content-type"].partition(";")[0]
    assert media in said["content"], f"{method} {path} answered {media}"
    whole = {**said["content"][media]["schema"], "components": closed(description["components"])}
    Draft202012Validator.check_schema(whole)
    for value in values(media, answer.text):
        Draft202012Validator(whole).validate(value)


def values(media: str, text: str) -> Iterator[Any]:
    """What a body holds: JSON, or text."""
    if media == "text/event-stream":
        data = re.findall(r"^data: (.*)$", text, re.MULTILINE)
        yield from (json.loads(one) for one in data if one != "[DONE]")
    elif media == "application/x-ndjson":
        yield from map(json.loads, text.splitlines())
    else:
        yield json.loads(text) if "json" in media else text


def structs(description: Description, *schemas: Any) -> set[str]:
    """The names of the structs in schemas, at every depth."""
    found: set[str] = set()
    left = list(schemas)
    while left:
        new = set(re.findall(r"#/components/schemas/([^\"]+)", json.dumps(left))) - found
        found |= new
        left = [description["components"]["schemas"][name] for name in new]
    return found


def test_every_route_is_described_and_nothing_else(description: Description):
    app = application(Settings())
    served = {(path.template, method) for path in paths(app.routes) for method in path.methods}
    told = {(path, method.upper()) for path, methods in description["paths"].items() for method in methods}
    assert told <= served
    # Every GET answers HEAD; it is told of where it is all there is.
    assert {(path, method) for path, method in served - told if method != "HEAD"} == set()


def test_what_is_described_is_what_is_sent_and_read(description: Description):
    made: set[str] = set()
    given: set[str] = set()
    for path in (REPOSITORY / "puna").rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text())) if path.parent.name != "openapi" else ()
        for call in (node for node in nodes if isinstance(node, ast.Call)):
            made |= {call.func.id} if isinstance(call.func, ast.Name) else set()
            given |= {one.id for one in call.args if isinstance(one, ast.Name)}
    operations = [one for methods in description["paths"].values() for one in methods.values()]
    assert structs(description, [one["responses"] for one in operations]) - made == set()
    bodies = json.dumps([one.get("requestBody") for one in operations])
    assert set(re.findall(r"#/components/schemas/([^\"]+)", bodies)) - given == set()


def test_every_name_is_said_once_and_leads_somewhere(description: Description):
    text = json.dumps(description)
    schemas = description["components"]["schemas"]
    assert set(re.findall(r"#/components/schemas/([^\"]+)", text)) <= set(schemas)
    # msgspec puts the module before a name that two structs have.
    assert not [name for name in schemas if "." in name]
    operations = [one for methods in description["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)


@pytest.mark.parametrize("path", ASKED)
def test_answers_and_refusals_are_as_described(http: httpx.Client, description: Description, path: str):
    body = ASKED[path]
    schema = description["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]
    Draft202012Validator({**schema, "components": description["components"]}).validate(body)
    answer = http.post(path, json={**body, "stream": False})
    assert answer.status_code == 200, answer.text
    fits(description, path, "post", answer)
    missing = http.post(path, json={**body, "model": "none"})
    assert missing.status_code == 404
    fits(description, path, "post", missing)
    wrong = http.post(path, json={**body, "model": 1})
    assert wrong.status_code == 400
    fits(description, path, "post", wrong)


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
@pytest.mark.parametrize(
    "path",
    [
        *("/api/chat", "/api/generate", "/v1/chat/completions", "/v1/completions"),
        *("/v1/messages", "/v1/responses"),
    ],
)
def test_each_object_of_a_stream_is_as_described(
    http: httpx.Client, description: Description, path: str, accept: str
):
    more = {"stream": True, "stream_options": {"include_usage": True}}
    answer = http.post(path, json=ASKED[path] | more, headers={"accept": accept})
    assert len(answer.text.splitlines()) > len(SCRIPT.split())
    fits(description, path, "post", answer)


def test_a_kept_answer_is_as_described(http: httpx.Client, description: Description):
    kept = http.post("/v1/responses", json=ASKED["/v1/responses"]).json()["id"]
    for method in ("get", "delete", "get"):
        fits(description, "/v1/responses/{id}", method, http.request(method, f"/v1/responses/{kept}"))


@pytest.mark.parametrize(
    "more", [{}, {"response_format": "text"}, {"response_format": "verbose_json"}, {"stream": "true"}]
)
def test_a_transcript_is_as_described(
    hearing_http: httpx.Client, description: Description, more: dict[str, str]
):
    path, file = "/v1/audio/transcriptions", {"file": ("a.wav", wav(tone(220)))}
    fits(description, path, "post", hearing_http.post(path, data={"model": "listener", **more}, files=file))


@pytest.mark.parametrize(
    "path",
    [
        *("/", "/api/version", "/api/tags", "/api/ps", "/v1/models", "/metrics", "/openapi.json", "/docs"),
        *("/healthz", "/readyz", "/health", "/api/devices", "/api/status"),
        "/api/experimental/model-recommendations",
    ],
)
def test_what_is_only_read_is_as_described(http: httpx.Client, description: Description, path: str):
    fits(description, path, "get", http.get(path))


def test_a_model_is_as_described(http: httpx.Client, description: Description):
    fits(description, "/v1/models/{model}", "get", http.get("/v1/models/talker"))


def test_the_page_shows_every_operation_without_the_internet(http: httpx.Client, description: Description):
    page = http.get("/docs").text
    assert "//" not in re.sub(r"^\s*// .*$", "", page, flags=re.MULTILINE)
    (script,) = re.findall(r"<script>(.*)</script>", page, re.DOTALL)
    program = f"{script}\nprocess.stdout.write(rendered({json.dumps(description)}))"
    shown = subprocess.run(["node", "-"], input=program, capture_output=True, text=True, check=True).stdout
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            line = f'<b class="method">{method.upper()}</b> <code>{path}</code> {operation["summary"]}'
            assert line in shown
    assert "undefined" not in shown
    assert "&quot;documents&quot;: [string | {" in shown
