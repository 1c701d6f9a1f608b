"""Tools as Pydantic, Zod and MCP servers declare them, in templates that write each parameter themselves."""

from __future__ import annotations

import json
from typing import Any

import pytest

from puna.chat import Prompt, go, jinja, renderer
from puna.chat.schema import inlined
from puna.errors import BadRequest
from puna.types import Message
from tests.chat.parsing.reading import called, parsed

ADDRESS = {"type": "object", "properties": {"street": {"type": "string"}}, "required": ["street"]}
COLOR = {"type": "string", "enum": ["red", "green"], "title": "Color"}
NODE = {"type": "object", "properties": {"children": {"type": "array", "items": {"$ref": "#/$defs/Node"}}}}
NULL = {"type": "null"}

TYPED = (
    "{% for tool in tools %}{% for p in tool.function.parameters.properties.values() %}"
    "{{ p.type }}{{ '?' if p.nullable }}{{ p.enum or '' }};{% endfor %}{% endfor %}{{ messages[0].content }}"
)
DESCRIBED = (
    "{% for tool in tools or [] %}{{ '// ' + tool.function.description + ':' }}"
    "{% for name, p in tool.function.parameters.properties.items() %}{{ name + '=' + p.description }}"
    "{% endfor %};{% endfor %}{{ messages[0].content }}"
)
WHOLE = "{% for tool in tools %}{{ tool | tojson }}{% endfor %}{{ messages[0].content }}"


def tool(*parameters: Any) -> dict[str, Any]:
    properties = {chr(ord("a") + at): one for at, one in enumerate(parameters)}
    schema = {
        "type": "object",
        "properties": properties,
        "$defs": {"Address": ADDRESS, "Node": NODE, "Color": COLOR},
    }
    return {"type": "function", "function": {"name": "f", "description": "F.", "parameters": schema}}


def rendered(source: str, *tools: Any) -> str:
    prompt = Prompt(messages=[Message(role="user", content="Hi")], tools=list(tools))
    return jinja(source, bos="", eos="").render(prompt)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string"}, "string"),
        ({"anyOf": [{"type": "string"}, NULL]}, "string?"),
        ({"oneOf": [NULL, {"type": "array", "items": {"type": "string"}}], "default": None}, "array?"),
        ({"type": ["integer", "null"]}, "integer?"),
        ({"type": ["integer"]}, "integer"),
        ({"type": ["integer", "string"]}, "['integer', 'string']"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}, NULL]}, "['string', 'integer']?"),
        ({"$ref": "#/$defs/Address"}, "object"),
        ({"$ref": "#/$defs/Node"}, "object"),
        ({"allOf": [{"$ref": "#/$defs/Color"}], "default": "red"}, "string['red', 'green']"),
        ({"anyOf": [{"$ref": "#/$defs/Color"}, NULL]}, "string?['red', 'green']"),
        ({"const": "fast"}, "string['fast']"),
        ({"enum": [1, 2, None]}, "integer?[1, 2, None]"),
        ({"properties": {}}, "object"),
        ({"items": {}}, "array"),
        ({"$ref": "#/$defs/Nowhere"}, ""),
        ({"$ref": "http://["}, ""),
        ({"$ref": 5, "anyOf": 5, "enum": 5, "type": 5, "properties": 5}, "object5"),
        ({"type": ["null"]}, "['null']"),
        (NULL, "null"),
        ({}, ""),
        (True, ""),
        (None, ""),
    ],
)  # fmt: skip
def test_a_parameter_has_one_type_where_possible(schema: Any, expected: str):
    assert rendered(TYPED, tool(schema)) == f"{expected};Hi"


def test_nested_parameters_are_typed_as_well():
    source = "{{ tools[0].function.parameters.properties.a | tojson }}{{ messages[0].content }}"
    person = {"properties": {"home": {"anyOf": [{"$ref": "#/$defs/Address"}, NULL]}}}
    written = rendered(source, tool({"type": "array", "items": person})).removesuffix("Hi")
    home = {**ADDRESS, "nullable": True}
    assert json.loads(written) == {"type": "array", "items": {"type": "object", "properties": {"home": home}}}


def test_a_template_that_writes_whole_schemas_gets_them_as_they_are():
    given = tool({"anyOf": [{"$ref": "#/$defs/Address"}, NULL]})
    assert rendered(WHOLE, given) == json.dumps(given) + "Hi"


def test_only_templates_that_need_descriptions_and_parameters_get_empty_ones():
    bare = {"type": "function", "function": {"name": "f"}}
    undescribed = {"type": "function", "function": {"name": "f", "description": None, "parameters": {}}}
    assert rendered(DESCRIBED, bare, undescribed) == "// :;// :;Hi"
    assert rendered(DESCRIBED, tool({"type": "string"})) == "// F.:a=;Hi"
    assert rendered(WHOLE, bare) == json.dumps(bare) + "Hi"


def test_a_default_can_be_added_to_text_where_values_are_listed():
    source = (
        "{% for p in tools[0].function.parameters.properties.values() %}"
        "{% if p.default is defined %}{{ 'default: ' + p.default }}{% endif %}{% endfor %}"
        "{{ messages[0].content }}"
    )
    assert rendered(source, tool({"enum": [1, 2], "default": 1})) == "default: 1Hi"
    assert rendered(source, tool({"anyOf": [COLOR, NULL], "default": None})) == "Hi"


def test_firefunctions_names():
    source = "{{ 'JSON: ' + functions + ' on ' + datetime }}{{ messages[0].content }}"
    written = rendered(source, {"type": "function", "function": {"name": "f"}})
    assert written.startswith('JSON: [{"name": "f"}] on ')


def test_tools_without_end_are_refused():
    schema: Any = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(BadRequest, match="nested too deeply"):
        rendered(TYPED, tool(schema))


@pytest.mark.parametrize(
    "name", ["qwen3-coder", "gemma4-small", "functiongemma", "gpt-oss", "nemotron-3-nano"]
)
def test_renderers_write_the_targets_of_references(name: str):
    given = tool({"$ref": "#/$defs/Address"}, {"allOf": [{"$ref": "#/$defs/Color"}], "description": "Which."})
    text = renderer(name).render(Prompt(messages=[Message(role="user", content="Hi")], tools=[given]))
    assert "$ref" not in text
    assert "street" in text or "OBJECT" in text
    assert "Which." in text


def test_gemmas_renderers_write_optional_lists_and_objects():
    optional = [
        {"anyOf": [{"type": "array", "items": {"type": "string"}}, NULL]},
        {"anyOf": [{"$ref": "#/$defs/Address"}, NULL]},
        {"anyOf": [{"type": "string"}, NULL]},
    ]
    prompt = Prompt(messages=[Message(role="user", content="Hi")], tools=[tool(*optional)])
    text = renderer("gemma4-small").render(prompt).replace('<|"|>', "'")
    assert "a:{items:{type:'STRING'},nullable:true,type:'ARRAY'}" in text
    assert "b:{nullable:true,properties:{street:{type:'STRING'}},required:['street'],type:'OBJECT'}" in text
    assert "c:{type:'['STRING', 'NULL']'}" in text  # as in Ollama
    text = renderer("functiongemma").render(prompt).replace("<escape>", "'")
    assert all(f"type:'{kind}'" in text for kind in ("ARRAY", "OBJECT", "STRING"))


def test_go_templates_write_the_targets_of_references():
    text = go("{{ .Tools }}{{ range .Messages }}{{ end }}").render(
        Prompt(messages=[Message(role="user", content="Hi")], tools=[tool({"$ref": "#/$defs/Address"})])
    )
    properties = json.loads(text)[0]["function"]["parameters"]["properties"]
    assert properties["a"]["properties"]["street"] == {"type": "string"}


def test_many_references_to_each_other_stay_small():
    definitions: dict[str, Any] = {
        f"D{at}": {"properties": {key: {"$ref": f"#/$defs/D{at + 1}"} for key in "abc"}} for at in range(30)
    }
    definitions["D30"] = {"type": "string", "description": "The last."}
    result = inlined({"properties": {"a": {"$ref": "#/$defs/D0"}}, "$defs": definitions})
    assert len(json.dumps(result)) < 200_000


def test_what_all_of_cannot_merge_stays():
    parts = [
        {"properties": {"a": {}}, "required": ["a"]},
        {"if": {}, "then": {}},
        {"if": True},
        {"properties": 5},
    ]
    result = inlined({"properties": {"b": {}}, "required": ["b"], "allOf": parts})
    assert result == {
        "properties": {"a": {}, "b": {}},
        "required": ["b", "a"],
        "if": {},
        "then": {},
        "allOf": [{"if": True}, {"properties": 5}],
    }


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"anyOf": [{"type": "string"}, NULL]}, "null", None),
        ({"anyOf": [{"type": "string"}, NULL]}, "5", "5"),
        ({"type": ["integer", "null"]}, "5", 5),
        ({"type": ["integer", "null"]}, "null", None),
        ({"$ref": "#/$defs/Address"}, '{"street": "5"}', {"street": "5"}),
        ({"anyOf": [{"$ref": "#/$defs/Address"}, NULL]}, "null", None),
        ({"$ref": "#/$defs/Node"}, '{"children": [{"children": []}]}', {"children": [{"children": []}]}),
        ({"allOf": [{"$ref": "#/$defs/Color"}]}, "red", "red"),
        ({"const": 5}, "5", 5),
        ({"const": "5"}, "5", "5"),
        ({"enum": [1, 2]}, "2", 2),
        ({"enum": ["1", "2"]}, "2", "2"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("family", ["qwen3-coder", "glm", "minimax-m2", "minicpm5"])
def test_values_come_back_with_the_types_of_the_schema(family: str, schema: Any, text: str, value: Any):
    written = {
        "qwen3-coder": f"<function=f>\n<parameter=a>\n{text}\n</parameter>\n</function>\n</tool_call>",
        "glm": f"<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>{text}</arg_value>\n</tool_call>",
        "minimax-m2": f'<minimax:tool_call>\n<invoke name="f">\n<parameter name="a">{text}</parameter>\n'
        "</invoke>\n</minimax:tool_call>",
        "minicpm5": f'<function name="f"><param name="a">{text}</param></function>',
    }
    assert parsed(family, written[family], tools=[tool(schema)]) == called(("f", {"a": value}))
