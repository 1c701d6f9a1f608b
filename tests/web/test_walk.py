"""What a person who has never seen a command line does first, from the page alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from puna.library import Library, Name, push
from tests.models import install, install_with_projector, scripted_model
from tests.registries import registry
from tests.vision_models import vision_model
from tests.web.test_attachments import DOT

MODELS = ("seeing", "brief", "polite")


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """A registry on this machine with a model that sees and two that talk."""
    with registry(tmp_path / "registry") as host:
        source = tmp_path / "source"
        names = [f"{host}/library/{model}" for model in MODELS]
        install_with_projector(source, names[0], *vision_model(tmp_path))
        for name, script in zip(names[1:], ("Yes.", "Yes, please."), strict=True):
            scripted_model(tmp_path / "model.gguf", script)
            install(source, name, tmp_path / "model.gguf")
        for name in names:
            push(Library(source), Name.parse(name), lambda _: None, insecure=True, key=tmp_path / "key")
        yield host


def test_a_person_pulls_talks_with_a_picture_compares_and_exports(page: Page, hub: str, tmp_path: Path):
    def unencrypted(route: Route) -> None:
        """This registry has no certificate."""
        route.continue_(post_data=json.dumps(json.loads(route.request.post_data or "") | {"insecure": True}))

    page.route("**/api/pull", unencrypted)
    expect(page.get_by_text("No models yet")).to_be_visible()
    page.get_by_role("button", name="Pull a model").click()
    expect(page.get_by_role("button", name="smollm2:135m")).to_be_visible()
    names = [f"{hub}/library/{model}:latest" for model in MODELS]
    for name in names:
        page.get_by_label("Name of a model").click()
        page.keyboard.type(name)
        page.get_by_role("button", name="Pull", exact=True).click()
    for name in names:
        expect(page.locator(".models > ul").last.get_by_text(name)).to_be_visible()
    expect(page.get_by_text("No models yet")).to_have_count(0)

    page.get_by_role("button", name="New chat").click()
    page.get_by_label("Model").first.select_option(names[0])
    with page.expect_file_chooser() as chooser:
        page.get_by_label("Attach files").click()
    chooser.value.set_files([DOT])
    expect(page.get_by_role("img", name="dot.png")).to_be_visible()
    page.get_by_label("Message").click()
    page.keyboard.type("What is this?")
    page.get_by_role("button", name="Send").click()
    # Its weights are random, and so is what it says.
    page.wait_for_function("() => document.querySelector('.theirs .markdown')?.innerText.length > 5")
    if (stop := page.get_by_role("button", name="Stop")).is_visible():
        stop.click()
    expect(page.get_by_role("button", name="Send")).to_be_visible()

    page.get_by_role("button", name="Compare", exact=True).click()
    for name in names[1:]:
        page.get_by_label(name).click()
    page.get_by_label("Message").click()
    page.keyboard.type("More?")
    page.locator(".compare form").get_by_role("button", name="Compare").click()
    expect(page.get_by_role("region", name=names[1])).to_contain_text("Yes.")
    expect(page.get_by_role("region", name=names[2])).to_contain_text("Yes, please.")
    expect(page.locator(".speeds rect")).to_have_count(2)

    with page.expect_download() as download:
        page.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "chats.json")
    (chat,) = json.loads((tmp_path / "chats.json").read_text())["chats"]
    asked, answered = chat["messages"]
    assert (asked["content"], asked["attachments"][0]["name"]) == ("What is this?", "dot.png")
    assert answered["content"]
