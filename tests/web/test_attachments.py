"""Files attached to a message, on the page."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import FilePayload, Page, Request, expect

from tests.models import install_with_projector
from tests.running import Server
from tests.vision_models import vision_model

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


DOT: FilePayload = {"name": "dot.png", "mimeType": "image/png", "buffer": PNG}


@pytest.fixture
def models(store: Path, tmp_path: Path, add_scripted: Callable[..., list[bytes]]) -> None:
    add_scripted("blind", "I read it.")
    folder = tmp_path / "seeing"
    folder.mkdir()
    install_with_projector(store, "seeing", *vision_model(folder))


@pytest.fixture
def opened(models: None, page: Page) -> Page:
    """The page, with both models there."""
    return page


def sent(request: Request) -> list[dict[str, Any]]:
    """The messages of a request."""
    return json.loads(request.post_data or "")["messages"]


def chosen(page: Page, model: str) -> None:
    page.get_by_label("Model").first.select_option(f"{model}:latest")


def test_a_picture_is_sent_to_a_model_that_sees(opened: Page):
    chosen(opened, "seeing")
    opened.get_by_label("Attach files").set_input_files([DOT])
    expect(opened.get_by_role("img", name="dot.png")).to_be_visible()
    opened.get_by_label("Message").fill("What is this?")
    with opened.expect_request("**/api/chat") as asked:
        opened.get_by_role("button", name="Send").click()
    (message,) = sent(asked.value)
    assert message == {
        "role": "user",
        "content": "What is this?",
        "images": [base64.b64encode(PNG).decode()],
    }
    assert (response := asked.value.response()) is not None
    assert response.status == 200
    opened.keyboard.press("Escape")


def test_a_model_that_is_blind_refuses_a_picture_and_names_one_that_sees(opened: Page):
    chosen(opened, "blind")
    opened.get_by_label("Attach files").set_input_files([DOT])
    opened.get_by_label("Message").fill("What is this?")
    opened.get_by_role("button", name="Send").click()
    expect(opened.get_by_role("alert")).to_contain_text("seeing:latest")
    # What was written and given is still there.
    expect(opened.get_by_label("Message")).to_have_value("What is this?")
    opened.get_by_role("button", name="Delete: dot.png").click()
    expect(opened.get_by_role("img", name="dot.png")).to_have_count(0)


def test_a_text_stands_before_what_was_typed(opened: Page):
    chosen(opened, "blind")
    text: FilePayload = {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"Buy milk."}
    opened.get_by_label("Attach files").set_input_files([text])
    opened.get_by_label("Message").fill("Summarise.")
    with opened.expect_request("**/api/chat") as asked:
        opened.get_by_role("button", name="Send").click()
    (message,) = sent(asked.value)
    assert message == {"role": "user", "content": "notes.txt:\n\nBuy milk.\n\nSummarise."}
    expect(opened.get_by_text("I read it.")).to_be_visible()


@pytest.mark.parametrize("content", [b"\xff\xfe\x00binary", b"nul\0"])
def test_a_file_of_no_known_kind_is_refused(opened: Page, content: bytes):
    odd: FilePayload = {"name": "odd.bin", "mimeType": "application/octet-stream", "buffer": content}
    opened.get_by_label("Attach files").set_input_files([odd])
    expect(opened.get_by_role("alert")).to_contain_text("odd.bin")
    expect(opened.get_by_role("button", name="Send")).to_be_disabled()


def test_a_picture_is_dropped_onto_the_page(opened: Page, server: Server):
    opened.evaluate(
        """([bytes]) => {
            const given = new DataTransfer();
            const content = Uint8Array.from(atob(bytes), (c) => c.charCodeAt(0));
            given.items.add(new File([content], "drop.png", { type: "image/png" }));
            const drop = { dataTransfer: given, bubbles: true, cancelable: true };
            document.querySelector("main").dispatchEvent(new DragEvent("drop", drop));
        }""",
        [base64.b64encode(PNG).decode()],
    )
    expect(opened.get_by_role("img", name="drop.png")).to_be_visible()


def pdf(*texts: str) -> bytes:
    """A PDF file whose pages say `texts`; for "" a page has a picture."""
    drawn = [
        f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET".encode() if text else b"0 0 10 10 re f" for text in texts
    ]
    return pdf_file(drawn, b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>")


def pdf_file(pages: list[bytes], *fonts: bytes) -> bytes:
    """A PDF file on whose pages `pages` are drawn. Their font /F1 is object 3, the first of `fonts`."""
    first = 3 + len(fonts)
    kids = b" ".join(b"%d 0 R" % (first + 2 * at) for at in range(len(pages)))
    parts = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, len(pages)),
        *fonts,
    ]
    for drawn in pages:
        parts += [
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R"
            b"/Resources<</Font<</F1 3 0 R>>>>>>" % (len(parts) + 2),
            b"<</Length %d>>stream\n%s\nendstream" % (len(drawn), drawn),
        ]
    file, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, 1):
        places.append(len(file))
        file += b"%d 0 obj%s endobj\n" % (number, part)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(parts) + 1
    end = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (size, len(file))
    return file + b"xref\n0 %d\n0000000000 65535 f \n" % size + table + end


def test_the_text_of_a_pdf_file_is_sent(opened: Page):
    chosen(opened, "blind")
    loaded = "performance.getEntriesByType('resource').filter(({ name }) => name.includes('pdf')).length"
    assert opened.evaluate(loaded) == 0
    paper: FilePayload = {"name": "paper.pdf", "mimeType": "application/pdf", "buffer": pdf("Buy more milk.")}
    opened.get_by_label("Attach files").set_input_files([paper])
    expect(opened.get_by_text("paper.pdf")).to_be_visible()
    opened.get_by_label("Message").fill("Summarise.")
    with opened.expect_request("**/api/chat") as asked:
        opened.get_by_role("button", name="Send").click()
    (message,) = sent(asked.value)
    assert message["content"] == "paper.pdf:\n\nBuy more milk.\n\nSummarise."


def test_of_a_pdf_file_with_scanned_pages_the_others_are_sent(opened: Page):
    chosen(opened, "blind")
    content = pdf("One.", "", "Three.", "", "", "", "Seven.", "")
    paper: FilePayload = {"name": "mixed.pdf", "mimeType": "application/pdf", "buffer": content}
    opened.get_by_label("Attach files").set_input_files([paper])
    expect(opened.locator(".attached .attachments")).to_contain_text("2, 4–6, 8")
    with opened.expect_request("**/api/chat") as asked:
        opened.get_by_role("button", name="Send").click()
    (message,) = sent(asked.value)
    assert message["content"].startswith("mixed.pdf:\n\nOne.\n\nThree.\n\nSeven.\n\n(")
    assert "2, 4–6, 8)" in message["content"]
    # Of the message it is said as long as the message is there.
    opened.reload()
    expect(opened.locator("article.mine .attachments")).to_contain_text("2, 4–6, 8")


# Python's name for the encoding, the font, the collection of its characters, and PDF's name for the encoding.
CJK = [
    ("gbk", b"STSong-Light", b"GB1", b"GBK-EUC-H", "再买一些牛奶。"),
    ("big5", b"MSung-Light", b"CNS1", b"ETen-B5-H", "再買一些牛奶。"),
    ("shift_jis", b"HeiseiMin-W3", b"Japan1", b"90ms-RKSJ-H", "牛乳をもっと買う。"),
    ("cp949", b"HYSMyeongJo-Medium", b"Korea1", b"KSCms-UHC-H", "우유를 더 사세요."),
    ("utf-16-be", b"STSong-Light", b"GB1", b"UniGB-UCS2-H", "再买一些牛奶。"),
]


@pytest.mark.parametrize(("coding", "font", "ordering", "encoding", "text"), CJK, ids=[one[0] for one in CJK])
def test_a_pdf_file_whose_fonts_are_not_in_it_is_read(
    opened: Page, coding: str, font: bytes, ordering: bytes, encoding: bytes, text: str
):
    file = pdf_file(
        [b"BT /F1 24 Tf 72 720 Td <%s> Tj ET" % text.encode(coding).hex().encode()],
        b"<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/%s/DescendantFonts[4 0 R]>>" % (font, encoding),
        b"<</Type/Font/Subtype/CIDFontType0/BaseFont/%s/FontDescriptor 5 0 R"
        b"/CIDSystemInfo<</Registry(Adobe)/Ordering(%s)/Supplement 0>>>>" % (font, ordering),
        b"<</Type/FontDescriptor/FontName/%s/Flags 4/FontBBox[0 0 1000 1000]/ItalicAngle 0"
        b"/Ascent 880/Descent -120/CapHeight 700/StemV 80>>" % font,
    )
    chosen(opened, "blind")
    paper: FilePayload = {"name": "paper.pdf", "mimeType": "application/pdf", "buffer": file}
    opened.get_by_label("Attach files").set_input_files([paper])
    expect(opened.get_by_text("paper.pdf")).to_be_visible()
    with opened.expect_request("**/api/chat") as asked:
        opened.get_by_role("button", name="Send").click()
    (message,) = sent(asked.value)
    assert message["content"] == f"paper.pdf:\n\n{text}\n\n"


@pytest.mark.parametrize(
    ("content", "said"), [(pdf(""), "pictures without text"), (b"%PDF-1.4 no", "cannot be read as a PDF")]
)
def test_a_pdf_file_without_text_is_refused(opened: Page, content: bytes, said: str):
    odd: FilePayload = {"name": "odd.pdf", "mimeType": "application/pdf", "buffer": content}
    opened.get_by_label("Attach files").set_input_files([odd])
    expect(opened.get_by_role("alert")).to_contain_text(said)
