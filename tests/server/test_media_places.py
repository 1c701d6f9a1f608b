"""A picture or a sound that cannot be read is named by its place in the request, in every dialect."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.server.picture_hosts import answering, host


def png() -> bytes:
    file = BytesIO()
    Image.effect_noise((32, 32), 90).save(file, "PNG")
    return file.getvalue()


WHOLE, CUT = base64.b64encode(png()).decode(), base64.b64encode(png()[:400]).decode()
URL = f"data:image/png;base64,{CUT}"
SAYS = "the PNG file is damaged or cut short"


def turn(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "hello"}, {"role": "user", "content": "Look."} | fields]}


def after_text(part: dict[str, Any]) -> dict[str, Any]:
    return turn(content=[{"type": "text", "text": "Look."}, part])


SOURCE = {"type": "base64", "media_type": "image/png", "data": CUT}


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("/api/generate", {"prompt": "Look.", "images": [WHOLE, CUT]}, "images[1]"),
        ("/api/chat", turn(images=[WHOLE, CUT]), "messages[1].images[1]"),
        ("/api/chat", after_text({"type": "image", "url": URL}), "messages[1].content[1].url"),
        (
            "/v1/chat/completions",
            after_text({"type": "image_url", "image_url": {"url": URL}}),
            "messages[1].content[1].image_url",
        ),
        (
            "/v1/responses",
            {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": URL}]}]},
            "input[0].content[0].image_url",
        ),
        (
            "/v1/messages",
            {"max_tokens": 3} | after_text({"type": "image", "source": SOURCE}),
            "messages[1].content[1].source",
        ),
    ],
)
def test_its_place_is_told(hearing_http: httpx.Client, path: str, body: dict[str, Any], place: str):
    answer = hearing_http.post(path, json={"model": "seer", "stream": False} | body)
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]
    native = path.startswith("/api")
    assert (error if native else error["message"]) == f'invalid value for "{place}": {SAYS}'
    assert native or error.get("param", place) == place


def test_so_it_is_for_what_was_fetched(hearing_http: httpx.Client):
    with host(answering(body=png()[:400])) as cut, host(answering(404)) as missing:
        for url, says in ((cut.url, SAYS), (missing.url, f'cannot fetch "{missing.url}": it must be')):
            answer = hearing_http.post("/api/chat", json={"model": "seer"} | turn(images=[WHOLE, url]))
            assert answer.status_code == 400
            assert answer.json()["error"].startswith(f'invalid value for "messages[1].images[1]": {says}')


def test_a_model_that_sees_has_room_for_a_picture(hearing_http: httpx.Client):
    asked = {"prompt": "Look.", "options": {"num_predict": 1, "num_ctx": 64}}
    for model in ("seer", "listener"):
        assert hearing_http.post("/api/generate", json={"model": model, **asked}).status_code == 200
    loaded = {one["model"]: one["context_length"] for one in hearing_http.get("/api/ps").json()["models"]}
    assert loaded["seer:latest"] > 64
