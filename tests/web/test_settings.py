"""What a person sets on the page: options, presets, answers by a schema, tools, folders, the theme."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from playwright.sync_api import Page, expect

from puna.options import Options

CALL = '<tool_call>\n{"name": "weather", "arguments": {"city": "Paris"}}\n</tool_call>'
TOOLS_TEMPLATE = (
    "{%- for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if tools %}# Tools: {{ tools | tojson }}\n{% endif %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PLACE = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture
def opened(add_scripted: Callable[..., list[bytes]], page: Page) -> Page:
    """The page with one model, its chat's settings open."""
    add_scripted("talker", ['{"a', 'ge":', " 30}"])
    page.reload()
    page.get_by_text("Settings", exact=True).click()
    return page


def asked(page: Page, text: str = "Who?") -> dict[str, Any]:
    """What is asked of the server for this message; its answer has come."""
    page.get_by_label("Message").fill(text)
    with page.expect_request("**/api/chat") as request:
        page.get_by_label("Message").press("Enter")
    expect(page.get_by_role("button", name="Regenerate")).to_be_visible()
    return json.loads(request.value.post_data or "")


def test_every_option_of_the_server_can_be_set(page: Page):
    shown = page.evaluate(
        """async () => {
            const base = document.querySelector("script[type=module]").src;
            return Object.keys((await import(new URL("settings.js", base))).OPTIONS);
        }"""
    )
    assert set(shown) == set(Options.__struct_fields__)


def test_what_is_set_is_asked_for_and_only_that(opened: Page):
    assert asked(opened)["options"] == {}
    opened.get_by_role("button", name="New chat").click()
    opened.get_by_text("Settings", exact=True).click()
    for name, text in {"temperature": "0.5", "top_k": "7", "stop": "x\ny z", "num_predict": "100"}.items():
        opened.get_by_label(name, exact=True).fill(text)
    opened.get_by_label("use_mmap").select_option("false")
    opened.get_by_label("System prompt").fill("Be brief.")
    opened.get_by_label("Keep in memory").fill("10m")
    body = asked(opened)
    expected = {"temperature": 0.5, "top_k": 7, "stop": ["x", "y z"], "num_predict": 100, "use_mmap": False}
    assert body["options"] == expected
    assert body["keep_alive"] == "10m"
    assert body["messages"][0] == {"role": "system", "content": "Be brief."}
    assert "think" not in body
    opened.reload()
    opened.get_by_text("Settings", exact=True).click()
    expect(opened.get_by_label("top_k", exact=True)).to_have_value("7")


def test_escape_closes_the_settings_and_keeps_them(opened: Page):
    opened.get_by_label("System prompt").fill("Be brief.")
    opened.get_by_label("System prompt").press("Escape")
    expect(opened.get_by_label("System prompt")).to_be_hidden()
    opened.keyboard.press("Enter")
    expect(opened.get_by_label("System prompt")).to_have_value("Be brief.")


def test_a_click_beside_the_settings_closes_them_and_keeps_them(opened: Page):
    opened.get_by_label("System prompt").fill("Be brief.")
    opened.get_by_label("temperature", exact=True).click()
    expect(opened.get_by_label("System prompt")).to_be_visible()
    opened.get_by_role("heading", name="What is on your mind?").click()
    expect(opened.get_by_label("System prompt")).to_be_hidden()
    opened.get_by_text("Settings", exact=True).click()
    expect(opened.get_by_label("System prompt")).to_have_value("Be brief.")


def test_settings_are_saved_under_a_name_and_taken_from_there(opened: Page):
    opened.get_by_label("temperature", exact=True).fill("0.1")
    opened.once("dialog", lambda dialog: dialog.accept("Exact"))
    opened.get_by_role("button", name="Save preset").click()
    opened.get_by_label("temperature", exact=True).fill("2")
    opened.reload()
    opened.get_by_text("Settings", exact=True).click()
    opened.get_by_label("Preset").select_option("Exact")
    expect(opened.get_by_label("temperature", exact=True)).to_have_value("0.1")
    opened.get_by_role("button", name="Delete preset").click()
    expect(opened.get_by_label("Preset").locator("option")).to_have_count(1)


def test_an_answer_by_a_schema_is_checked(opened: Page):
    schema = {"type": "object", "properties": {"age": {"type": "integer"}}, "required": ["age"]}
    opened.get_by_label("Answer as JSON").fill(json.dumps(schema))
    assert asked(opened)["format"] == schema
    expect(opened.get_by_text("fits the schema")).to_be_visible()


@pytest.mark.parametrize("text", ["{", "[]", '{"type": "text"}', '{"$ref": "#/$defs/x"}', '{"pattern": "("}'])
def test_what_is_no_schema_is_refused_before_it_is_sent(opened: Page, text: str):
    opened.get_by_label("Answer as JSON").fill(text)
    expect(opened.locator(".settings").get_by_role("alert")).to_be_visible()
    opened.get_by_label("Message").fill("Who?")
    opened.get_by_label("Message").press("Enter")
    expect(opened.locator("article").get_by_role("alert")).to_contain_text("JSON Schema")
    assert "/api/chat" not in opened.evaluate(
        "performance.getEntriesByType('resource').map((e) => e.name).join()"
    )


SCHEMAS = r"""
true
false
{}
{"type": "integer"}
{"type": ["string", "null"]}
{"enum": [1, "x", {"a": 1, "b": 2}]}
{"const": [1]}
{"minimum": 2, "exclusiveMaximum": 5}
{"multipleOf": 0.1}
{"minLength": 2, "maxLength": 3}
{"pattern": "^x"}
{"items": {"type": "string"}, "minItems": 1}
{"prefixItems": [{"type": "integer"}], "items": false}
{"uniqueItems": true}
{"required": ["a"]}
{"properties": {"a": {"type": "integer"}}, "additionalProperties": false}
{"patternProperties": {"^a": {"type": "string"}}}
{"anyOf": [{"type": "string"}, {"minimum": 3}]}
{"oneOf": [{"minimum": 1}, {"minimum": 3}]}
{"allOf": [{"minimum": 1}, {"maximum": 3}]}
{"not": {"type": "null"}}
{"maxProperties": 1}
{"$ref": "#/$defs/a~1b", "$defs": {"a/b": {"type": "boolean"}}}
{"$ref": "#/$defs/tree", "$defs": {"tree": {"items": {"$ref": "#/$defs/tree"}, "type": "array"}}}
""".strip().splitlines()
VALUES = r"""
null
true
0
1
2.5
3
5
""
"x"
"xy"
"𝒳𝒳𝒳"
"long text"
[]
[1]
["x"]
[1, "x"]
[1, 1]
[[], [[]]]
{}
{"a": 1}
{"a": "x"}
{"b": 2, "a": 1}
{"ab": 1}
""".strip().splitlines()


def test_the_check_agrees_with_another_program(page: Page):
    found = page.evaluate(
        """async ([schemas, values]) => {
            const base = document.querySelector("script[type=module]").src;
            const { misfit } = await import(new URL("schema.js", base));
            const read = (texts) => texts.map((text) => JSON.parse(text));
            return read(schemas).map((schema) => read(values).map((value) => misfit(value, schema) === ""));
        }""",
        [SCHEMAS, VALUES],
    )
    for schema, fits in zip(SCHEMAS, found, strict=True):
        other = jsonschema.Draft202012Validator(json.loads(schema))
        for value, fit in zip(VALUES, fits, strict=True):
            assert fit == other.is_valid(json.loads(value)), (schema, value)


def test_a_tool_is_called_and_its_result_sent(add_scripted: Callable[..., list[bytes]], page: Page):
    add_scripted("caller", [bytes([byte]) for byte in CALL.encode()], chat_template=TOOLS_TEMPLATE)
    page.reload()
    page.get_by_text("Settings", exact=True).click()
    page.get_by_label("Tools").fill(json.dumps([TOOL]))
    assert asked(page)["tools"] == [TOOL]
    expect(page.get_by_role("list", name="Tool calls")).to_contain_text('weather(city: "Paris")')
    page.get_by_label("Result of weather").fill("sunny")
    with page.expect_request("**/api/chat") as request:
        page.get_by_role("button", name="Send results").click()
    messages = json.loads(request.value.post_data or "")["messages"]
    assert messages[-1] == {"role": "tool", "content": "sunny", "tool_name": "weather"}
    assert messages[-2]["tool_calls"][0]["function"]["name"] == "weather"
    expect(page.locator("article")).to_have_count(4)
    assert (response := request.value.response()) is not None
    assert response.status == 200


def test_chats_lie_in_folders(opened: Page, tmp_path: Path):
    asked(opened, "First?")
    opened.once("dialog", lambda dialog: dialog.accept("Work"))
    opened.get_by_role("button", name="Folder: First?").click()
    expect(opened.get_by_role("list", name="Work")).to_contain_text("First?")
    opened.get_by_role("button", name="New chat").click()
    asked(opened, "Second?")
    opened.reload()
    expect(opened.get_by_role("list", name="Work").locator(".title")).to_have_text(["First?"])
    expect(opened.get_by_role("list", name="Chats").locator(".title")).to_have_text(["Second?"])
    with opened.expect_download() as download:
        opened.get_by_role("button", name="Export").click()
    download.value.save_as(tmp_path / "chats.json")
    opened.get_by_label("Import").set_input_files(tmp_path / "chats.json")
    expect(opened.get_by_role("list", name="Work").locator(".title")).to_have_text(["First?", "First?"])


def test_theme_and_size_are_chosen_and_kept(page: Page):
    page.get_by_text("Appearance").click()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_label("Theme").select_option("dark")
    assert page.evaluate(ground) != light
    page.get_by_label("Text size").select_option("large")
    page.reload()
    assert page.evaluate(ground) != light
    assert page.evaluate("getComputedStyle(document.documentElement).fontSize") == "19px"
    page.emulate_media(color_scheme="dark")
    page.get_by_text("Appearance").click()
    page.get_by_label("Theme").select_option("light")
    assert page.evaluate(ground) == light
