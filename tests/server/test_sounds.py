"""Sounds in native requests, through a real server: in `images`, as parts, and to models that cannot hear."""

from __future__ import annotations

import base64
from io import BytesIO
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.hearing_models import ROWS, silent_mp3, tone, wav
from tests.server.picture_hosts import answering, host


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def png() -> bytes:
    file = BytesIO()
    Image.new("RGB", (32, 32), (255, 0, 0)).save(file, "PNG")
    return file.getvalue()


LOW, HIGH, CAT = encoded(wav(tone(220))), encoded(wav(tone(1760))), encoded(png())


def chat(http: httpx.Client, model: str, message: dict[str, Any], **fields: Any) -> httpx.Response:
    message = {"role": "user", "content": "What is it?"} | message
    options = {"num_predict": 3, "temperature": 0}
    body = {"model": model, "messages": [message], "options": options, "stream": False, **fields}
    return http.post("/api/chat", json=body)


@pytest.mark.parametrize(
    "message",
    [
        {"images": [LOW]},
        {"images": [f"data:audio/wav;base64,{LOW}"]},
        {"content": [{"type": "audio", "data": LOW}, {"type": "text", "text": "What is it?"}]},
        {"content": [{"type": "audio", "audio": {"data": LOW}}, {"type": "text", "text": "What is it?"}]},
        {"content": [{"type": "input_audio", "input_audio": {"data": LOW, "format": "wav"}},
                     {"type": "text", "text": "What is it?"}]},
    ],
)  # fmt: skip
def test_a_sound_is_heard_however_it_is_given(hearing_http: httpx.Client, message: dict[str, Any]):
    deaf, heard = (chat(hearing_http, "hearer", given).json() for given in ({}, message))
    assert heard["prompt_eval_count"] == deaf["prompt_eval_count"] + ROWS
    assert heard["eval_count"] == 3
    same = chat(hearing_http, "hearer", {"images": [LOW]}).json()
    assert same["message"] == heard["message"]


def test_a_sound_is_fetched(hearing_http: httpx.Client):
    with host(answering(body=wav(tone(220)))) as there, host(answering(body=png())) as other:
        fetched = chat(hearing_http, "hearer", {"images": [there.url]}).json()
        refused = chat(hearing_http, "hearer", {"images": [other.url]})
    assert fetched["message"] == chat(hearing_http, "hearer", {"images": [LOW]}).json()["message"]
    assert refused.status_code == 400
    assert refused.json()["error"] == '"hearer" does not support vision: it cannot read images'


def test_a_part_may_name_a_url(hearing_http: httpx.Client):
    same = chat(hearing_http, "hearer", {"images": [LOW]}).json()["message"]
    with host(answering(body=wav(tone(220)))) as there, host(answering(body=png())) as other:
        for given in ({"url": there.url}, {"audio": {"url": there.url}}, {"audio_url": {"url": there.url}}):
            parts = [{"type": "audio", **given}, {"type": "text", "text": "What is it?"}]
            assert chat(hearing_http, "hearer", {"content": parts}).json()["message"] == same
        refused = chat(hearing_http, "hearer", {"content": [{"type": "audio", "url": other.url}]})
    place = "messages[0].content[0].url"
    assert refused.json() == {"error": f'invalid value for "{place}": it is PNG, not WAV, MP3 or FLAC audio'}


def test_openais_form_may_name_a_url(hearing_http: httpx.Client):
    def asked(data: str) -> dict[str, Any]:
        parts = [{"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}]
        body = {"model": "hearer", "messages": [{"role": "user", "content": parts}], "max_tokens": 3}
        return hearing_http.post("/v1/chat/completions", json=body | {"temperature": 0}).json()

    with host(answering(body=wav(tone(220)))) as there, host(answering(body=png())) as other:
        assert asked(there.url)["choices"][0]["message"] == asked(LOW)["choices"][0]["message"]
        place = "messages[0].content[0].input_audio.data"
        assert asked(other.url)["error"]["param"] == place


def test_the_answer_is_to_the_sound(hearing_http: httpx.Client):
    told = [
        chat(hearing_http, "hearer", {"images": [file]}, logprobs=True).json()["logprobs"][0]["logprob"]
        for file in (LOW, HIGH, encoded(silent_mp3(60)), LOW)
    ]
    assert len(set(told[:3])) == 3
    assert told[3] == pytest.approx(told[0], abs=0.01)


def test_generate_hears_too(hearing_http: httpx.Client):
    body = {"model": "hearer", "prompt": "What?", "options": {"num_predict": 2}, "stream": False}
    deaf, heard = (hearing_http.post("/api/generate", json=body | more) for more in ({}, {"images": [LOW]}))
    assert heard.json()["prompt_eval_count"] == deaf.json()["prompt_eval_count"] + ROWS


def test_sounds_and_pictures_keep_their_places(hearing_http: httpx.Client):
    parts = [
        {"type": "text", "text": "one"},
        {"type": "audio", "data": LOW},
        {"type": "image", "data": CAT},
        {"type": "text", "text": "two"},
    ]
    shown = chat(hearing_http, "both", {"content": parts}, _debug_render_only=True).json()
    assert "one[img-0][img-1]two" in shown["_debug_info"]["rendered_template"]
    assert chat(hearing_http, "both", {"content": parts}).status_code == 200
    assert hearing_http.post("/api/show", json={"model": "both"}).json()["capabilities"] == [
        "completion",
        "vision",
        "audio",
    ]


@pytest.mark.parametrize(
    ("model", "message", "error"),
    [
        ("seer", {"images": [LOW]}, '"seer" does not support audio: it cannot hear sounds'),
        ("hearer", {"images": [CAT]}, '"hearer" does not support vision: it cannot read images'),
        ("hearer", {"images": [LOW, CAT]}, '"hearer" does not support vision: it cannot read images'),
        ("hearer", {"images": [LOW[:200]]},
         'invalid value for "messages[0].images[0]": the WAV file is damaged or cut short'),
        ("hearer", {"images": [encoded(b"OggS\0\2")]},
         'invalid value for "messages[0].images[0]": it is Ogg audio, not WAV, MP3 or FLAC audio'),
        ("hearer", {"content": [{"type": "audio", "data": CAT}]},
         'invalid value for "messages[0].content[0].data": it is PNG, not WAV, MP3 or FLAC audio'),
        ("hearer", {"content": [{"type": "input_audio", "input_audio": {"format": "wav"}}]},
         'invalid value for "messages[0].content[0]": a sound needs "data" or a "url"'),
        ("hearer", {"images": [encoded(wav(tone(100, 1000, 8000), 8000))] * 2},
         "the sounds of this request are longer than 30 minutes together"),
    ],
)  # fmt: skip
def test_what_cannot_be_heard_is_refused(
    hearing_http: httpx.Client, model: str, message: dict[str, Any], error: str
):
    answer = chat(hearing_http, model, message)
    assert (answer.status_code, answer.json()) == (400, {"error": error})
