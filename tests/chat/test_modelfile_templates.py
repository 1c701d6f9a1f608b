"""A Modelfile's TEMPLATE, given a conversation: expected texts are what Ollama makes of these templates."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from puna.chat import Prompt, go, plain
from puna.errors import BadRequest
from puna.types import MediaFile, Message

from .conversations import chat, tool_chat

CHATML_BY_TURN = """{{ if .System }}<|im_start|>system
{{ .System }}<|im_end|>
{{ end }}{{ if .Prompt }}<|im_start|>user
{{ .Prompt }}<|im_end|>
{{ end }}<|im_start|>assistant
{{ .Response }}<|im_end|>
"""
CHATML_BY_MESSAGE = """{{- range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
"""
LLAMA3 = """{{- range $i, $m := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 -}}
<|start_header_id|>{{ $m.Role }}<|end_header_id|>

{{ $m.Content }}
{{- if not (and $last (eq $m.Role "assistant")) }}<|eot_id|>{{ end }}
{{- if and $last (ne $m.Role "assistant") }}<|start_header_id|>assistant<|end_header_id|>

{{ end }}
{{- end }}"""
MISTRAL = """[INST] {{ if .System }}{{ .System }}

{{ end }}{{ .Prompt }}[/INST] {{ .Response }}"""

LONG = chat("system: Be brief.", "user: Hi", "assistant: Hello!", "user: Who are you?")
LONG_AS_CHATML = """<|im_start|>system
Be brief.<|im_end|>
<|im_start|>user
Hi<|im_end|>
<|im_start|>assistant
Hello!<|im_end|>
<|im_start|>user
Who are you?<|im_end|>
<|im_start|>assistant
"""


@pytest.mark.parametrize("source", [CHATML_BY_TURN, CHATML_BY_MESSAGE])
def test_both_styles_of_template_give_one_text(source: str) -> None:
    assert go(source).render(LONG) == LONG_AS_CHATML


def test_llama3() -> None:
    head = "<|start_header_id|>{}<|end_header_id|>\n\n".format
    assert go(LLAMA3).render(chat("user: Hi")) == f"{head('user')}Hi<|eot_id|>{head('assistant')}"
    begun = chat("user: Hi", "assistant: Hel")
    assert go(LLAMA3).render(begun) == f"{head('user')}Hi<|eot_id|>{head('assistant')}Hel"


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (chat("user: Hi"), "[INST] Hi[/INST] "),
        (LONG, "[INST] Be brief.\n\nHi[/INST] Hello![INST] Who are you?[/INST] "),
        (chat("user: Hi", "assistant: Hel"), "[INST] Hi[/INST] Hel"),
        (chat("user: a", "system: b", "user: c"), "[INST] a[/INST] [INST] b\n\nc[/INST] "),
        (chat("assistant: a", "user: b"), "[INST] [/INST] a[INST] b[/INST] "),
        (chat("user: a", "tool: ignored", "assistant: b"), "[INST] a[/INST] b"),
    ],
)
def test_turn_by_turn(prompt: Prompt, expected: str) -> None:
    assert go(MISTRAL).render(prompt) == expected
    assert go(MISTRAL.replace("{{ .Response }}", "")).render(prompt) == expected


def test_the_last_turn_ends_where_the_answer_begins() -> None:
    source = "{{ if .Prompt }}<{{ .Prompt }}|{{ .Response }}>{{ else }}-{{ .Response }}-{{ end }}!"
    assert go(source).render(chat("user: a", "assistant: b", "user: c")) == "<a|b>!<c|"
    assert go(source).render(chat("assistant: b")) == "-b"


def test_without_a_template_the_prompt_is_the_text() -> None:
    assert plain().render(chat("user: Why is the sky blue?")) == "Why is the sky blue?"
    assert plain().render(chat("user: a", "assistant: b", "user: c")) == "abc"
    assert plain() is plain()


def test_neighbours_of_one_role_are_put_together_but_tools_answers_are_not() -> None:
    template = go("{{ range .Messages }}[{{ .Role }} {{ .ToolName }}:{{ .Content }}]{{ end }}|{{ .System }}")
    messages = [
        *chat("system: a", "system: b", "user: c", "user: d").messages,
        Message(role="tool", content="e", tool_name="x"),
        Message(role="tool", content="f", tool_name="y"),
        Message(role="system", content="g"),
    ]
    expected = "[system :a\n\nb][user :c\n\nd][tool x:e][tool y:f][system :g]|a\n\nb\n\ng"
    assert template.render(Prompt(messages=messages)) == expected
    assert [message.content for message in messages] == ["a", "b", "c", "d", "e", "f", "g"]


def test_fill_in_the_middle() -> None:
    template = go(
        "{{- if .Suffix }}<PRE> {{ .Prompt }} <SUF>{{ .Suffix }} <MID>{{ else }}{{ .Prompt }}{{ end }}"
    )
    assert (
        template.render(Prompt(prompt="def add(", suffix="return x")) == "<PRE> def add( <SUF>return x <MID>"
    )
    assert template.render(chat("user: hello")) == "hello"
    assert "suffix" in template.names


@pytest.mark.parametrize(
    ("think", "expected"),
    [
        (None, "false  false"),
        (False, "false  true"),
        (True, "true medium true"),
        ("high", "true high true"),
    ],
)
def test_thinking(think: bool | str | None, expected: str) -> None:
    template = go("{{ range .Messages }}{{ end }}{{ .Think }} {{ .ThinkLevel }} {{ .IsThinkSet }}")
    assert template.render(chat("user: a", think=think)) == expected


WEATHER_JSON = (
    '{"type":"function","function":{"name":"get_weather","description":"Weather of a \\u003ccity\\u003e",'
    '"parameters":{"type":"object","required":["city"],"properties":{"city":{"type":"string",'
    '"description":"Where, e.g. 東京"},"days":{"type":["integer","null"],"enum":[1,2]}}}}}'
)


def test_tools_print_as_json() -> None:
    each = go("{{ range .Messages }}{{ end }}{{ range .Tools }}{{ . }}{{ end }}")
    assert each.render(tool_chat()) == WEATHER_JSON
    whole = go("{{ range .Messages }}{{ end }}{{ if .Tools }}{{ .Tools }}|{{ json .Tools }}{{ end }}")
    assert whole.render(tool_chat()) == f"[{WEATHER_JSON}]|[{WEATHER_JSON}]"
    assert whole.render(chat("user: a")) == ""


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            {"type": "function", "items": [], "function": {"name": "f"}},
            '{"type":"function","items":[],'
            '"function":{"name":"f","description":"","parameters":{"type":"","properties":null}}}',
        ),
        (
            {
                "function": {
                    "name": "f",
                    "parameters": {"properties": {"a": {"properties": {}}}, "required": []},
                }
            },
            '{"type":"","function":{"name":"f","description":"",'
            '"parameters":{"type":"","properties":{"a":{"properties":{}}}}}}',
        ),
    ],
)
def test_what_a_tool_does_not_say_prints_as_ollama_prints_it(given: dict, expected: str) -> None:
    template = go("{{ range .Messages }}{{ end }}{{ range .Tools }}{{ . }}{{ end }}")
    assert template.render(chat("user: a", tools=[given])) == expected


def test_no_tools_and_no_calls_are_null_in_json() -> None:
    template = go(
        "{{ .Tools }} {{ len .Tools }} {{ range .Messages }}{{ json .ToolCalls }}{{ json .Images }}{{ end }}"
    )
    assert template.render(chat("user: a")) == "null 0 nullnull"
    assert template.render(chat("user: a", tools=[])) == "[] 0 nullnull"


def test_a_call_without_arguments() -> None:
    call = Message(role="assistant", tool_calls=[{"function": {"name": "f"}}])
    template = go(
        "{{ range .Messages }}{{ range .ToolCalls }}{{ json . }}{{ .Function.Arguments }}{{ end }}{{ end }}"
    )
    expected = '{"ID":"","Function":{"Index":0,"Name":"f","Arguments":null}}{}'
    assert template.render(Prompt(messages=[call])) == expected


def test_a_calls_index_is_a_number() -> None:
    calls = [{"function": {"name": "f", "index": index}} for index in (2, "a", None)]
    template = go("{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Index }}{{ end }}{{ end }}")
    assert template.render(Prompt(messages=[Message(role="assistant", tool_calls=calls)])) == "200"


def test_values_have_their_methods() -> None:
    template = go(
        "{{ range .Messages }}{{ end }}{{ range .Tools }}{{ .String }}"
        "{{ range .Function.Parameters.Properties }}"
        " {{ .ToTypeScriptType }} {{ .Type.String }} {{ json .Type }}{{ end }}{{ end }}"
    )
    expected = WEATHER_JSON + ' string string "string" number | null [integer null] ["integer","null"]'
    assert template.render(tool_chat()) == expected


def test_pictures_are_bytes_and_have_their_place_in_the_system_text_too() -> None:
    shown = Message(role="system", content="See.", images=[MediaFile(b"12")])
    template = go(
        "{{ .System }}{{ range .Messages }}{{ .Images }}{{ json .Images }}{{ len .Images }}{{ end }}"
    )
    assert template.render(Prompt(messages=[shown])) == '<__media__>See.[[49 50]]["MTI="]1'


def test_a_tools_parts_can_be_taken_one_by_one() -> None:
    template = go(
        "{{ range .Messages }}{{ end }}{{ range .Tools }}{{ .Function.Name }}("
        "{{ range $name, $p := .Function.Parameters.Properties }}"
        "{{ $name }}: {{ toTypeScriptType $p }} ({{ $p.Type }}) {{ $p.Enum }} {{ end }}){{ end }}"
    )
    expected = "get_weather(city: string (string) [] days: number | null ([integer null]) [1 2] )"
    assert template.render(tool_chat()) == expected


def test_tool_calls() -> None:
    template = go(
        "{{ range .Messages }}{{ range .ToolCalls }}{{ .Function.Name }}{{ .Function.Arguments }}"
        "{{ range $k, $v := .Function.Arguments }} {{ $k }}={{ $v }}{{ end }}{{ end }}"
        "{{ if .ToolName }} {{ .ToolName }}={{ .Content }}{{ end }}{{ end }}"
    )
    expected = 'get_weather{"city":"東京","days":2} city=東京 days=2 get_weather=sunny'
    assert template.render(tool_chat()) == expected


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"function": None},
        {"function": {"parameters": {"properties": {"a": {"anyOf": [{"type": "null"}]}}}}},
        {"function": {"parameters": {"properties": {"a": {"type": 5, "enum": 1, "required": "b"}}}}},
    ],
)
def test_a_tool_with_parts_missing_still_renders(schema: dict) -> None:
    template = go("{{ range .Messages }}{{ end }}{{ .Tools }}")
    assert template.render(chat("user: a", tools=[schema])).startswith('[{"type":"","function":{"name":""')


def test_dates() -> None:
    template = go("{{ currentDate }} {{ yesterdayDate }}{{ range .Messages }}{{ end }}")
    today = date.today()
    days = {template.render(chat("user: a"))}
    # The day may change while this runs.
    assert days & {f"{day} {day - timedelta(days=1)}" for day in (today, date.today())}


def test_names() -> None:
    assert go("{{ .System }} {{ .Prompt }}").names == {"system", "prompt", "response"}
    source = "{{ range $m := .Messages }}{{ if (index $m.ToolCalls 0).Function }}x{{ end }}{{ end }}"
    assert go(source).names == {"$m", "messages", "toolcalls", "function"}
    assert "tools" in go('{{ template "t" . }}{{ define "t" }}{{ .Tools }}{{ end }}').names


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ .Prompt ", "template: :1:11: unclosed action"),
        ("{{ foo }}", 'template: :1:3: function "foo" not defined'),
        ('{{ define "x" }}y{{ end }}{{ if 1 }}{{ template "x" }}{{ end }}', "undefined template specified"),
    ],
)
def test_a_wrong_template_is_refused(source: str, message: str) -> None:
    with pytest.raises(BadRequest) as caught:
        go(source)
    assert str(caught.value) == message


def test_a_template_is_not_changed_by_rendering() -> None:
    template = go(CHATML_BY_TURN)
    assert template.render(LONG) == template.render(LONG) == LONG_AS_CHATML


def test_values_nested_without_end_are_refused() -> None:
    deep: dict = {}
    for _ in range(5000):
        deep = {"items": deep}
    tool = {"function": {"parameters": {"properties": {"a": deep}}}}
    with pytest.raises(BadRequest, match="nested too deeply"):
        go("{{ range .Messages }}{{ end }}{{ .Tools }}").render(chat("user: a", tools=[tool]))
