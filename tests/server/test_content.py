"""Text and pictures in the order in which they were given, in every way a picture may be written down."""

from __future__ import annotations

import base64
import socket
import threading
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.chat import MEDIA_MARKER
from puna.errors import BadRequest
from puna.server.content import Url, assemble, escape_markers, picture, sound
from puna.server.remote import Remote
from puna.types import MediaFile
from tests.server.picture_hosts import MEDIA_MARKER as FILE
from tests.server.picture_hosts import answering, host

A, B = MediaFile(b"first file", "a"), MediaFile(b"second file", "b")


@pytest.mark.parametrize(
    ("parts", "text", "files"),
    [
        ([], "", []),
        (["hello"], "hello", []),
        (["one", "two", ""], "one\ntwo\n", []),
        ([A, "what is this?"], f"{MEDIA_MARKER}what is this?", [A]),
        (["this ", A, " and this ", B, "?"], f"this {MEDIA_MARKER} and this {MEDIA_MARKER}?", [A, B]),
        ([B, A], MEDIA_MARKER * 2, [B, A]),
        (["a", "b", A, "c", "d"], f"a\nb{MEDIA_MARKER}c\nd", [A]),
    ],
)
async def test_pictures_stand_where_they_were_given(
    parts: list[str | MediaFile], text: str, files: list[MediaFile]
):
    assert await assemble(parts, Remote()) == (text, files)


async def test_pictures_that_are_fetched_keep_their_order_whichever_comes_first():
    second_came = threading.Event()

    def waits(line: socket.socket, asked: bytes) -> None:
        assert second_came.wait(30)
        answering(body=FILE + b"slow")(line, asked)

    def hurries(line: socket.socket, asked: bytes) -> None:
        answering(body=FILE + b"fast")(line, asked)
        second_came.set()

    with host(waits) as slow, host(hurries) as fast:
        parts = [Url(slow.url, "slow"), "then", A, Url(fast.url, "fast")]
        text, files = await assemble(parts, Remote(private=True))
    assert text == f"{MEDIA_MARKER}then{MEDIA_MARKER * 2}"
    assert files == [MediaFile(FILE + b"slow", "slow"), A, MediaFile(FILE + b"fast", "fast")]


async def test_one_picture_that_cannot_be_had_ends_it_at_once():
    release = threading.Event()

    def waits(line: socket.socket, asked: bytes) -> None:
        release.wait(60)

    with host(waits) as never, host(answering(404)) as missing:
        with pytest.raises(BadRequest, match="cannot fetch") as refused:
            await assemble(
                ["look", Url(never.url, "first"), Url(missing.url, "second")], Remote(private=True)
            )
        release.set()
    assert str(refused.value).startswith(f'invalid value for "second": cannot fetch "{missing.url}": ')


async def test_what_must_be_a_sound_is_looked_at_when_it_has_come():
    with host(answering(body=b"fLaC" + bytes(50))) as flac, host(answering()) as png:
        heard = sound(flac.url, "data")
        assert await assemble([heard], Remote(private=True)) == (
            MEDIA_MARKER,
            [MediaFile(b"fLaC" + bytes(50), "data")],
        )
        with pytest.raises(BadRequest, match=r'^invalid value for "data": it is PNG, not WAV'):
            await assemble([sound(png.url, "data")], Remote(private=True))


@given(
    st.lists(st.text(alphabet=MEDIA_MARKER + " \n[img]", max_size=40) | st.just(MEDIA_MARKER) | st.just(A))
)
@settings(deadline=None)
async def test_nothing_that_a_person_writes_stands_for_a_picture(parts: list[str | MediaFile]):
    text, files = await assemble(parts, Remote())
    assert text.count(MEDIA_MARKER) == len(files) == parts.count(A)


def test_a_marker_in_a_text_is_broken_up_and_still_there_to_read():
    assert (
        escape_markers(f"llama.cpp writes {MEDIA_MARKER} for a picture")
        == "llama.cpp writes <__media__ > for a picture"
    )
    assert escape_markers("nothing <__media__ to break") == "nothing <__media__ to break"


@given(st.binary())
@settings(deadline=None)
def test_bytes_in_base64_come_back_however_they_are_wrapped(data: bytes):
    for encode in (base64.b64encode, base64.urlsafe_b64encode, base64.encodebytes):
        text = encode(data).decode()
        for given_text in (text, text.rstrip("=\n"), f"  {text}\r\n", "\n".join(text)):
            assert picture(given_text, "images[0]") == MediaFile(data, "images[0]")
        assert picture(f"data:image/png;base64,{text}", "images[0]") == MediaFile(data, "images[0]")


@given(st.text().filter(lambda text: not text.lower().lstrip().startswith("http")))
@settings(deadline=None)
def test_any_text_is_bytes_or_a_refusal_that_names_the_field(text: str):
    try:
        found = picture(text, "messages[2].images[0]")
    except BadRequest:
        with pytest.raises(BadRequest, match=r'^invalid value for "messages\[2\]\.images\[0\]": '):
            picture(text, "messages[2].images[0]")
    else:
        assert isinstance(found, MediaFile)


@pytest.mark.parametrize("url", ["http://example.com/a.png", "HTTPS://example.com/a.png", " https://x/ "])
def test_a_url_is_left_to_be_fetched(url: str):
    assert picture(url, "images[0]") == Url(url.strip(), "images[0]")


@pytest.mark.parametrize(
    "url",
    [
        "data:image/png;base64," + base64.b64encode(FILE).decode(),
        "DATA:image/png;charset=utf-8;BASE64," + base64.b64encode(FILE).decode(),
        "data:;base64," + base64.urlsafe_b64encode(FILE).decode().rstrip("="),
        "data:image/png;base64," + quote(base64.b64encode(FILE).decode(), safe=""),
        "data:image/png," + quote(FILE),
        "data:," + quote(FILE),
    ],
)
def test_a_data_url_holds_the_picture_itself(url: str):
    assert picture(url, "images[0]") == MediaFile(FILE, "images[0]")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("file:///etc/passwd", "only http, https and data URLs are read"),
        ("ftp://example.com/a.png", "only http, https and data URLs are read"),
        ("C:\\picture.png", "only http, https and data URLs are read"),
        ("./picture.png", "it is not base64"),
        ("aGVsbG8=aGVsbG8=", "it is not base64"),
        ("a", "it is not base64"),
        ("图片", "it is not base64"),
        ("data:image/png;base64", "the data URL has no comma"),
        ("data:image/png;base64,?", "it is not base64"),
    ],
)
def test_what_is_neither_says_so(text: str, says: str):
    with pytest.raises(BadRequest, match=says):
        picture(text, "images[0]")
