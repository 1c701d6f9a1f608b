"""Pictures in a chat: in the request itself or at an address, each in its place in the text."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from puna.chat import MEDIA_MARKER
from tests.models import install_with_projector
from tests.running import Server, serving
from tests.vision_models import ROWS, qwen3vl_model, vision_model


def png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (32, 32), (255, 0, 0)).save(file, "PNG")
    return file.getvalue()


DATA = f"data:image/png;base64,{base64.b64encode(png()).decode()}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a model that sees, which may fetch from this machine."""
    folder = tmp_path_factory.mktemp("sight")
    install_with_projector(folder / "models", "seer", *vision_model(folder))
    (folder / "finder").mkdir()
    install_with_projector(folder / "models", "finder", *qwen3vl_model(folder / "finder"))
    with serving(folder / "models", PUNA_FETCH_PRIVATE="1") as running:
        yield running


@pytest.fixture
def address() -> Iterator[str]:
    """Where a picture is served."""

    class Picture(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(png())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Picture) as host:
        threading.Thread(target=host.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{host.server_port}/picture.png"
        host.shutdown()


def told(http: httpx.Client, *parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": list(parts)}]
    body = {"model": "seer", "messages": messages, "max_tokens": 3, **fields}
    answer = http.post("/v1/chat/completions", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def picture(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": url}


def test_pictures_stand_where_they_were_put(client: httpx.Client, address: str):
    parts = [text("one"), picture(DATA), text("two"), picture({"url": address, "detail": "low"})]
    shown = told(client, *parts, _debug_render_only=True)["_debug_info"]
    assert f"one{MEDIA_MARKER}two{MEDIA_MARKER}<|im_end|>" in shown["rendered_template"]
    assert shown["image_count"] == 2


def test_an_answer_is_given_to_a_picture(client: httpx.Client):
    seen = told(client, text("what is this?"), picture({"url": DATA}))
    blind = told(client, text("what is this?"))
    assert seen["choices"][0]["finish_reason"] == "length"
    assert seen["usage"]["prompt_tokens"] >= blind["usage"]["prompt_tokens"] + 16


@pytest.mark.parametrize(
    "url", ["data:image/png;base64,AAAA", "https://nowhere.invalid/a.png", "ftp://a/b", "%%"]
)
def test_what_is_no_picture_is_refused(client: httpx.Client, url: str):
    messages = [{"role": "system", "content": "Look."}, {"role": "user", "content": [picture(url)]}]
    answer = client.post("/v1/chat/completions", json={"model": "seer", "messages": messages})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["type"], error["param"]) == ("invalid_request_error", "messages[1].content[0].image_url")


def conversation(model: str, pictures: int) -> dict[str, Any]:
    """A request with a picture in every question."""
    asked = {"role": "user", "content": "And this?", "images": [DATA]}
    turns = [asked, {"role": "assistant", "content": "Red."}] * pictures
    options = {"num_ctx": 4096, "num_predict": 1}
    return {"model": model, "messages": turns[:-1], "stream": False, "options": options}


def test_pictures_of_few_tokens_stay_in_the_conversation(client: httpx.Client):
    """They need less than Ollama assumes, which is 768 tokens each."""
    answer = client.post("/api/chat", json=conversation("seer", 20)).json()
    assert 20 * ROWS < answer["prompt_eval_count"] < 2000
    shown = client.post("/api/chat", json=conversation("seer", 20) | {"_debug_render_only": True}).json()
    assert shown["_debug_info"]["image_count"] == 20


def test_of_pictures_of_many_tokens_the_oldest_leave_the_conversation(client: httpx.Client):
    """They need more than 768 tokens each, so fewer of them fit than it seems."""
    answer = client.post("/api/chat", json=conversation("finder", 5))
    assert answer.status_code == 200, answer.text
    assert 3 * 1024 <= answer.json()["prompt_eval_count"] < 4096


def test_a_rendered_prompt_is_a_raw_prompt(client: httpx.Client):
    asked = conversation("seer", 2) | {"options": {"num_predict": 1}}
    shown = client.post("/api/chat", json=asked | {"_debug_render_only": True}).json()["_debug_info"]
    counts = client.post("/api/chat", json=asked).json()["prompt_eval_count"]
    data = DATA.partition(",")[2]
    raw = {"model": "seer", "raw": True, "prompt": shown["rendered_template"], "images": [data, data]}
    answer = client.post("/api/generate", json=raw | {"stream": False, "options": asked["options"]}).json()
    assert answer["prompt_eval_count"] == counts


def test_tokens_of_pictures_are_counted(client: httpx.Client):
    asked: dict[str, Any] = {**conversation("seer", 3), "max_tokens": 1}
    source = {"type": "base64", "media_type": "image/png", "data": DATA.partition(",")[2]}
    for message in asked["messages"]:
        if message.pop("images", None):
            message["content"] = [{"type": "image", "source": source}, {"type": "text", "text": "And this?"}]
    counted = client.post("/v1/messages/count_tokens", json=asked).json()["input_tokens"]
    usage = client.post("/v1/messages", json=asked).json()["usage"]
    assert abs(counted - usage["input_tokens"] - usage["cache_read_input_tokens"]) < 10
