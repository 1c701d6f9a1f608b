"""Sounds in a chat, and sounds to be written down, asked for with OpenAI's own client."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from puna.chat import MEDIA_MARKER
from tests.hearing_models import ROWS, silent_mp3, tone, wav
from tests.running import Server
from tests.server.conftest import SCRIPT

LOW, HIGH = wav(tone(220)), wav(tone(1760))
FILE = ("talk.wav", LOW)


@pytest.fixture
def client(hearing_server: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{hearing_server.url}/v1", api_key="any", max_retries=0) as made:
        yield made


def said(text: str) -> Any:
    return {"type": "text", "text": text}


def heard(data: bytes) -> Any:
    return {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(data).decode(), "format": "wav"},
    }


def ask(client: openai.OpenAI, *parts: Any, **more: Any) -> Any:
    return client.chat.completions.create(
        model="hearer", messages=[{"role": "user", "content": list(parts)}], max_tokens=1, **more
    )


def test_a_chat_hears(client: openai.OpenAI):
    deaf = ask(client, said("what"), said("is it?"))
    both = [ask(client, said("what"), heard(data), said("is it?"), logprobs=True) for data in (LOW, HIGH)]
    # Two texts are apart by a line break, a text and a sound by nothing.
    assert both[0].usage.prompt_tokens == deaf.usage.prompt_tokens - 1 + ROWS
    first, second = (answer.choices[0].logprobs.content[0].logprob for answer in both)
    assert first != second


def test_sounds_stand_where_they_were_put(client: openai.OpenAI):
    parts = [said("one"), heard(LOW), said("two"), heard(HIGH)]
    shown = ask(client, *parts, extra_body={"_debug_render_only": True}).model_dump()["_debug_info"]
    assert f"one{MEDIA_MARKER}two{MEDIA_MARKER}<|im_end|>" in shown["rendered_template"]
    assert shown["image_count"] == 2


@pytest.mark.parametrize("file", [FILE, ("talk.mp3", silent_mp3(100))])
def test_speech_is_written_down(client: openai.OpenAI, file: tuple[str, bytes]):
    answer = client.audio.transcriptions.create(model="listener", file=file)
    assert answer.text == SCRIPT
    assert answer.usage is not None
    assert answer.usage.type == "tokens"
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens


def test_the_forms_of_a_transcript(client: openai.OpenAI):
    plain = client.audio.transcriptions.create(model="listener", file=FILE, response_format="text")
    assert plain == SCRIPT
    full = client.audio.transcriptions.create(
        model="listener", file=FILE, response_format="verbose_json", language="en", temperature=0.2
    )
    assert (full.text, full.language, full.duration) == (SCRIPT, "en", 0.5)
    assert full.usage is not None
    assert full.usage.seconds == 1


def test_a_transcript_is_streamed(client: openai.OpenAI):
    events = list(client.audio.transcriptions.create(model="listener", file=FILE, stream=True))
    deltas = [event.delta for event in events if event.type == "transcript.text.delta"]
    assert len(deltas) > 3
    assert "".join(deltas) == SCRIPT
    assert events[-1].type == "transcript.text.done"
    assert events[-1].text == SCRIPT


def test_the_model_is_told_what_is_known(client: openai.OpenAI):
    def length(**more: Any) -> int:
        usage = client.audio.transcriptions.create(model="listener", file=FILE, **more).usage
        assert usage is not None
        assert usage.type == "tokens"
        return usage.input_tokens

    # The tokens of `listener` are bytes.
    known = "Names: Puna."
    assert length(prompt=known) - length(prompt="x") == len(known) - 1
    assert length(language="German") - length(language="de") == 4
    assert length(language=MEDIA_MARKER) > length(language="de")


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"file": ("a.wav", b"")}, "file", 'invalid value for "file": it is empty'),
        ({"file": ("a.wav", b"hello")}, "file", "it is not WAV, MP3 or FLAC audio"),
        ({"file": ("a.wav", LOW[:-2])}, "file", "the WAV file is damaged or cut short"),
        ({"file": ("a.wav", wav(tone(440, 0.01)))}, "file", "shorter than 0.1 seconds"),
        ({"model": ""}, "model", "model is required"),
        ({"model": "nobody"}, "model", "not found"),
        ({"model": "seer"}, "file", '"seer" does not support audio: it cannot hear sounds'),
        ({"response_format": "srt"}, "response_format", '"srt" is not supported'),
        ({"response_format": "vtt"}, "response_format", '"vtt" is not supported'),
        ({"response_format": "xml"}, "response_format", "must be one of json, text, verbose_json"),
        ({"timestamp_granularities": ["word"]}, "timestamp_granularities", "is not supported"),
        ({"temperature": "hot"}, "temperature", "expected number"),
    ],
)
def test_what_cannot_be_written_down_is_refused(
    client: openai.OpenAI, fields: dict[str, Any], param: str | None, message: str
):
    with pytest.raises(openai.APIStatusError) as refused:
        client.audio.transcriptions.create(**{"model": "listener", "file": FILE, **fields})
    assert refused.value.status_code == (404 if fields.get("model") == "nobody" else 400)
    error: Any = refused.value.body
    assert error["param"] == param
    assert message in error["message"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"json": {"model": "listener"}}, "the request body must be multipart/form-data"),
        ({"files": {"model": (None, "listener")}}, "file is required"),
        (
            {"content": b"--x\r\nnothing", "headers": {"content-type": "multipart/form-data; boundary=x"}},
            "model is required",
        ),
        (
            {"content": b"", "headers": {"content-type": "multipart/form-data"}},
            "invalid form in request body",
        ),
    ],
)
def test_a_body_that_is_no_form_is_refused(hearing_http: httpx.Client, body: dict[str, Any], message: str):
    answer = hearing_http.post("/v1/audio/transcriptions", **body)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]
