"""Models made, pulled and looked into, on the page."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import FilePayload, Page, Route, expect

from puna.library import Library, push
from tests.library.registry.conftest import LIMITS, MODEL, put
from tests.models import scripted_model
from tests.registries import Fault, Line, line, registry
from tests.running import Server

# Contents, and how often each is repeated: the last is read in two pieces.
DIGESTED = [
    (b"", 1),
    (b"abc", 1),
    (b"x", 55),
    (b"x", 56),
    (b"x", 64),
    (b"y", 119),
    (bytes(range(256)), 20_000),
]


@pytest.fixture
def opened(add_scripted: Callable[..., list[bytes]], page: Page) -> Page:
    """The page's models, of which there is one."""
    add_scripted("talker", "An answer.")
    page.reload()
    page.get_by_role("button", name="Models").click()
    expect(page.locator(".models strong")).to_have_text(["talker:latest"])
    return page


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry with two models."""
    folder = tmp_path_factory.mktemp("registry")
    with registry(folder) as host:
        library = Library(folder / "source")
        for name in (MODEL, "library/y:latest"):
            put(library, f"{host}/{name}", b"%d" % len(name) * 500_000 + name.encode())
            push(
                library, f"{host}/{name}", lambda step: None, insecure=True, key=folder / "key", limits=LIMITS
            )
        yield host


@pytest.fixture
def way(hub: str, opened: Page) -> Iterator[Line]:
    """The line to it, which the page's pulls may take although it is not encrypted."""

    def unencrypted(route: Route) -> None:
        body: dict[str, Any] = json.loads(route.request.post_data or "")
        route.continue_(post_data=json.dumps(body | {"insecure": True}))

    opened.route("**/api/pull", unencrypted)
    with line(hub) as found:
        yield found


def show(server: Server, name: str) -> dict[str, Any]:
    return httpx.post(f"{server.url}/api/show", json={"model": name}).json()


def test_a_model_is_made_from_a_modelfile(opened: Page, server: Server):
    opened.get_by_text("Create a model").click()
    opened.get_by_label("Name for the new model").fill("mine")
    opened.get_by_label("Modelfile").fill(
        '# mine\nfrom talker\nPARAMETER temperature 0.5\nPARAMETER stop "a b"\nPARAMETER stop c\n'
        'SYSTEM """Two\nlines."""\nMESSAGE user Hello\nLICENSE "Free"\n'
    )
    opened.get_by_role("button", name="Create", exact=True).click()
    expect(opened.get_by_role("status")).to_have_text("The model is ready.")
    made = show(server, "mine")
    assert made["system"] == "Two\nlines."
    assert made["license"] == "Free"
    assert made["messages"] == [{"role": "user", "content": "Hello"}]
    assert sorted(made["parameters"].split("\n"))[-3:] == [
        'stop                           "a b"',
        'stop                           "c"',
        "temperature                    0.5",
    ]
    mine = opened.locator(".models li", has_text="mine:latest")
    mine.get_by_text("Details").click()
    expect(mine.locator("pre").first).to_have_text("Two\nlines.")
    expect(mine).to_contain_text("Free")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("SYSTEM x", "FROM"),
        ("FROM talker\nFROG x", "Line 2"),
        ("FROM ./other.gguf", "other.gguf"),
        ("FROM talker\nPARAMETER stop", "Line 2"),
        ("FROM talker\nMESSAGE robot x", "robot"),
        ('FROM talker\n\nSYSTEM """x\n', "Line 3"),
        ("FROM talker\nPARAMETER temperature warm", "temperature"),
    ],
)
def test_a_wrong_modelfile_is_refused_and_stays(opened: Page, text: str, said: str):
    opened.get_by_text("Create a model").click()
    opened.get_by_label("Name for the new model").fill("mine")
    opened.get_by_label("Modelfile").fill(text)
    opened.get_by_role("button", name="Create", exact=True).click()
    expect(opened.get_by_role("alert")).to_contain_text(said)
    expect(opened.get_by_label("Modelfile")).to_have_value(text)


def test_a_model_is_made_from_a_gguf_file_that_is_given(opened: Page, server: Server, tmp_path: Path):
    scripted_model(tmp_path / "Given One.gguf", "I was given.")
    opened.get_by_text("Create a model").click()
    opened.get_by_label("GGUF file").set_input_files(tmp_path / "Given One.gguf")
    assert opened.get_by_label("Modelfile").input_value().startswith("FROM Given One.gguf\n")
    expect(opened.get_by_label("Name for the new model")).to_have_value("given-one")
    opened.get_by_role("button", name="Create", exact=True).click()
    expect(opened.get_by_role("status")).to_have_text("The model is ready.")
    answer = httpx.post(
        f"{server.url}/api/generate", json={"model": "given-one", "prompt": "?", "stream": False}
    )
    assert answer.json()["response"] == "I was given."
    # It is there, so it is not sent again.
    sent: list[str] = []
    opened.on("request", lambda request: sent.append(f"{request.method} {request.url}"))
    opened.get_by_label("Name for the new model").fill("again")
    opened.get_by_role("button", name="Create", exact=True).click()
    expect(opened.get_by_text("again:latest")).to_be_visible()
    assert [one for one in sent if one.startswith("POST") and "/api/blobs/" in one] == []


def test_of_a_file_only_what_the_server_lacks_is_sent(opened: Page, server: Server, tmp_path: Path):
    path = tmp_path / "half.gguf"
    scripted_model(path, "I was given.")
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    # What an upload that broke off has left.
    Library(server.models).blobs.partial(f"sha256:{digest}", "-upload").write_bytes(content[:100_000])
    opened.get_by_text("Create a model").click()
    opened.get_by_label("GGUF file").set_input_files(path)
    with opened.expect_request(lambda one: one.method == "POST" and "/api/blobs/" in one.url) as sent:
        opened.get_by_role("button", name="Create", exact=True).click()
    expect(opened.get_by_role("status")).to_have_text("The model is ready.")
    assert sent.value.all_headers()["upload-offset"] == "100000"
    assert int(sent.value.all_headers()["content-length"]) == len(content) - 100_000
    answer = httpx.post(f"{server.url}/api/generate", json={"model": "half", "prompt": "?", "stream": False})
    assert answer.json()["response"] == "I was given."


def test_a_file_that_is_no_model_is_refused(opened: Page):
    odd: FilePayload = {"name": "odd.gguf", "mimeType": "", "buffer": b"no model at all"}
    opened.get_by_text("Create a model").click()
    opened.get_by_label("GGUF file").set_input_files([odd])
    opened.get_by_role("button", name="Create", exact=True).click()
    expect(opened.get_by_role("alert")).to_be_visible()


@pytest.mark.parametrize(
    ("content", "times"), DIGESTED, ids=[len(content) * times for content, times in DIGESTED]
)
def test_the_digest_of_a_file_is_its_sha256(page: Page, content: bytes, times: int):
    found = page.evaluate(
        """async ([text, times]) => {
            const base = document.querySelector("script[type=module]").src;
            const worker = new Worker(new URL("sha256.js", base), { type: "module" });
            const content = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            worker.postMessage(new File(Array(times).fill(content), "x"));
            return new Promise((resolve) => {
                worker.onmessage = ({ data }) => data.digest && resolve(data.digest);
            });
        }""",
        [base64.b64encode(content).decode(), times],
    )
    assert found == hashlib.sha256(content * times).hexdigest()


def test_a_loaded_model_says_what_it_holds_and_for_how_long(opened: Page, server: Server):
    httpx.post(f"{server.url}/api/generate", json={"model": "talker", "keep_alive": "10m"})
    expect(opened.locator(".loaded")).to_contain_text("MB")
    expect(opened.locator(".loaded")).to_contain_text("unloads in 9:")
    httpx.post(f"{server.url}/api/generate", json={"model": "talker", "keep_alive": -1})
    expect(opened.locator(".loaded")).to_contain_text("stays")


def test_models_are_pulled_at_once_cancelled_and_resumed(opened: Page, way: Line):
    way.fault = lambda asked: Fault("stall", after=200_000) if asked.blob else None
    names = [f"{way.host}/{name}" for name in (MODEL, "library/y:latest")]
    for name in names:
        opened.get_by_label("Name of a model").fill(name)
        opened.get_by_role("button", name="Pull", exact=True).click()
    pulls = opened.get_by_role("list", name="Pulls").locator("li")
    expect(pulls).to_have_count(2)
    for name in names:
        opened.wait_for_function(
            "name => document.querySelector(`progress[aria-label='${name}']`).value > 0", arg=name
        )
    # They go on while the person is elsewhere.
    opened.get_by_role("button", name="Talk", exact=True).click()
    opened.get_by_role("button", name="Models").click()
    opened.get_by_role("button", name=f"Cancel: {names[0]}").click()
    expect(pulls.filter(has_text=names[0])).to_contain_text("stopped")
    expect(opened.get_by_role("button", name=f"Cancel: {names[1]}")).to_be_visible()
    way.fault = lambda asked: None
    way.release()
    opened.get_by_role("button", name=f"Resume: {names[0]}").click()
    for name in names:
        expect(opened.locator(".models > ul").last.get_by_text(name)).to_be_visible()
    expect(pulls).to_have_count(0)


def test_a_pull_that_fails_says_why_and_can_be_put_away(opened: Page):
    opened.get_by_label("Name of a model").fill("!!")
    opened.get_by_role("button", name="Pull", exact=True).click()
    expect(opened.get_by_role("alert")).to_be_visible()
    opened.get_by_role("button", name="Delete: !!").click()
    expect(opened.get_by_role("alert")).to_have_count(0)


def test_a_model_that_came_meanwhile_is_there_when_a_person_comes_back(
    opened: Page, add_scripted: Callable[..., list[bytes]]
):
    add_scripted("later", "An answer.")
    opened.evaluate("window.dispatchEvent(new Event('focus'))")
    expect(opened.locator(".models strong")).to_have_text(["later:latest", "talker:latest"])
