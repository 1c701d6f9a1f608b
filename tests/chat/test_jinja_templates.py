"""Jinja chat templates as GGUF files carry them, and templates that mean harm."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puna.chat import Prompt, jinja
from puna.errors import BadRequest, PunaError
from puna.types import Message

from .conversations import chat, tool_chat

SMOLLM2 = """{% for message in messages %}\
{% if loop.first and messages[0]['role'] != 'system' %}{{ '<|im_start|>system
You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>
' }}{% endif %}{{'<|im_start|>' + message['role'] + '
' + message['content'] + '<|im_end|>' + '
'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant
' }}{% endif %}"""
LLAMA3 = """{% set loop_messages = messages %}{% for message in loop_messages %}\
{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' +
                 message['content'] | trim + '<|eot_id|>' %}\
{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}\
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""
QWEN = """{%- if tools %}
    {{- '<|im_start|>system\\n# Tools\\n<tools>' }}
    {%- for tool in tools %}
        {{- "\\n" }}
        {{- tool | tojson }}
    {%- endfor %}
    {{- "\\n</tools><|im_end|>\\n" }}
{%- endif %}
{%- for message in messages %}
    {%- if message.role == "user" or (message.role == "assistant" and not message.tool_calls) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
    {%- elif message.role == "assistant" %}
        {{- '<|im_start|>assistant' }}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function is defined %}
                {%- set tool_call = tool_call.function %}
            {%- endif %}
            {{- '\\n<tool_call>\\n{"name": "' ~ tool_call.name ~ '", "arguments": ' }}
            {{- tool_call.arguments | tojson }}
            {{- '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == "tool" %}
        {{- '<|im_start|>user\\n<tool_response>\\n' ~ message.content ~ '\\n</tool_response><|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}
"""


def render(source: str, prompt: Prompt | None = None) -> str:
    return jinja(source, bos="<s>", eos="</s>").render(prompt or chat("user: Hi"))


def test_smollm2() -> None:
    named = (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    )
    asked = "<|im_start|>user\nHi<|im_end|>\n"
    assert render(SMOLLM2) == named + asked + "<|im_start|>assistant\n"
    assert render(SMOLLM2, chat("user: Hi", add_generation_prompt=False)) == named + asked
    own = render(SMOLLM2, chat("system: Be brief.", "user: Hi"))
    assert own == f"<|im_start|>system\nBe brief.<|im_end|>\n{asked}<|im_start|>assistant\n"


def test_llama3() -> None:
    head = "<|start_header_id|>{}<|end_header_id|>\n\n".format
    text = render(LLAMA3, chat("user:  Hi ", "assistant: Yes?", "user: 你好"))
    expected = f"<s>{head('user')}Hi<|eot_id|>{head('assistant')}Yes?<|eot_id|>{head('user')}你好<|eot_id|>"
    assert text == expected + head("assistant")


def test_tools_in_qwens_way() -> None:
    assert render(QWEN, tool_chat(think=False)) == (
        '<|im_start|>system\n# Tools\n<tools>\n{"type": "function", "function": {"name": "get_weather", '
        '"description": "Weather of a <city>", "parameters": {"type": "object", "required": ["city"], '
        '"properties": {"city": {"type": "string", "description": "Where, e.g. 東京"}, '
        '"days": {"type": ["integer", "null"], "enum": [1, 2]}}}}}\n</tools><|im_end|>\n'
        "<|im_start|>user\nHow is the weather?<|im_end|>\n"
        "<|im_start|>assistant\n<tool_call>\n"
        '{"name": "get_weather", "arguments": {"city": "東京", "days": 2}}\n'
        "</tool_call><|im_end|>\n<|im_start|>user\n<tool_response>\nsunny\n</tool_response><|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )
    assert "<think>" not in render(QWEN, tool_chat())
    assert {"tools", "messages", "enable_thinking"} <= jinja(QWEN, bos="", eos="").names


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ messages[1].tool_calls[0].function.arguments }}", '{"city": "東京", "days": 2}'),
        ("{{ 'a' + messages[1].tool_calls[0].function.arguments + 'b' }}", 'a{"city": "東京", "days": 2}b'),
        ("{{ messages[1].tool_calls[0].function.arguments.city }}", "東京"),
        ("{% for k, v in messages[1].tool_calls[0].function.arguments|items %}{{ k }}={{ v }};{% endfor %}",
         "city=東京;days=2;"),
        ("{{ messages[1].content is none }}", "True"),
        ("{{ messages[1].content == '' }}", "True"),
        ("{{ messages[1].tool_calls[0].type }} {{ messages[2].name }}", "function get_weather"),
    ],
)  # fmt: skip
def test_calls_suit_templates_that_take_them_apart_and_that_print_them(source: str, expected: str) -> None:
    assert render(source, tool_chat()) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ bos_token }}{{ eos_token }}{{ documents is none }}{{ tools is none }}", "<s></s>TrueTrue"),
        ("{{ enable_thinking is defined }}", "False"),
        ("{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{{ i }}{% endfor %}", "01"),
        ("{% macro shown(n) %}{{ n }}{% endmacro %}{{ shown(1700000000) }}", "1700000000"),
        ("{{ missing | default(1700000000) }} {{ {}.get('a', 1700000000) }}", "1700000000 1700000000"),
        ("{% generation %}a{{ messages[0].content }}{% endgeneration %}b", "aHib"),
        ("  {% if true %}\nx\n  {% endif %}\ny\n", "x\ny"),
        ("{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = 7 %}{% endfor %}{{ ns.n }}", "7"),
        ("{{ {'a': '<é>&\"'}|tojson }}{{ [1]|tojson(indent=2) }}", '{"a": "<é>&\\""}[\n  1\n]'),
        ("{{ '<' ~ messages|length ~ '>' }}", "<1>"),
        ("{{ messages|selectattr('role', 'equalto', 'user')|map(attribute='content')|join(', ') }}", "Hi"),
        ("{{ nothing }}{{ messages[0].nothing }}", ""),
        ("{% set k = [] %}{% set _ = k.append(messages[0].role) %}{{ k.pop() }}{{ k }}", "user[]"),
        ("{{ messages|map(attribute='role')|tojson }}", '["user"]'),
    ],
)  # fmt: skip
def test_what_transformers_offers(source: str, expected: str) -> None:
    assert render(source) == expected


def test_thinking_is_handed_over() -> None:
    source = "{{ enable_thinking }} {{ reasoning_effort }} {{ messages[0].reasoning_content }}"
    thought = Message(role="assistant", content="4", thinking="2+2")
    assert render(source, Prompt(messages=[thought], think="high")) == "True high 2+2"
    assert render(source, Prompt(messages=[thought], think=False)) == "False  2+2"
    for switch in ("thinking", "reasoning"):
        assert render(f"{{{{ {switch} }}}}", Prompt(think="high")) == "True"
        assert render(f"{{{{ {switch} }}}}", Prompt(think=False)) == "False"


def test_today() -> None:
    before = f"{datetime.now():%d %b %Y}"
    # The day may change while this runs.
    assert render("{{ strftime_now('%d %b %Y') }}") in (before, f"{datetime.now():%d %b %Y}")


def test_a_template_may_refuse_messages() -> None:
    with pytest.raises(BadRequest, match=r"^Conversation roles must alternate$"):
        render("{% if messages %}{{ raise_exception('Conversation roles must alternate') }}{% endif %}")


@pytest.mark.parametrize(
    ("source", "line"),
    [("a\n{% if %}", 2), ("{{ 'a' | nosuchfilter }}", 1), ("\n\n{% for x in y %}", 3), ("{{ } }}", 1)],
)
def test_a_syntax_error_names_its_line(source: str, line: int) -> None:
    with pytest.raises(BadRequest, match=f"^template: line {line}: "):
        jinja(source, bos="", eos="")


DOUBLING = "{%% set n = namespace(x='ab') %%}{%% for i in range(60) %%}{%% set n.x = %s %%}{%% endfor %%}"
HARMFUL = {
    "repeats": "{{ 'a' * 10**10 }}",
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "filtered loops": "{% for i in range(9999) %}{% for j in range(9999) if false %}{% endfor %}{% endfor %}",
    "doubles by +": DOUBLING % "n.x + n.x",
    "doubles by ~": DOUBLING % "n.x ~ n.x",
    "prints a small giant": DOUBLING % "[n.x, n.x]" + "{{ n.x }}",
    "dumps a small giant": DOUBLING % "[n.x, n.x]" + "{{ n.x | tojson }}",
    "joins a small giant": DOUBLING % "[n.x, n.x]" + "{{ n.x | join }}",
    "macro that branches": "{% macro f(n) %}{{ f(n-1) ~ f(n-1) if n }}{% endmacro %}{{ f(60) }}",
    "macro without end": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "recursive loop": "{% for a in [1,2] recursive %}{{ loop([1,2]) if loop.depth < 40 }}{% endfor %}",
    "wide field": "{{ '%1000000000d' % 1 }}",
    "wide format": "{{ '{:1000000000}'.format(1) }}",
    "padding": "{{ 'a'.ljust(10**9) }}",
    "replacing": "{{ ('a' * 10**6).replace('a', 'b' * 10**6) }}",
    "replacing filter": "{{ ('a' * 10**6) | replace('a', 'b' * 10**6) }}",
    "joining": "{{ (['a' * 10**6] * 10**5) | join }}",
    "joining method": "{{ 'x'.join(['a' * 10**6] * 10**5) }}",
    "indenting": "{{ ('\\n' * 10**6) | indent(10**6) }}",
    "power": "{{ 10**10**10 }}",
    "range": "{{ range(10**9) | list }}",
    "python's inside": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "changing messages": "{{ messages.append(1) }}",
    "a list in itself": "{% set kept = [] %}{{ kept.append(kept) }}{{ kept }}",
    "a list that grows as it is read": "{% set k = [1] %}{% for n in k %}{{ k.append(n) }}{% endfor %}",
    "other templates": "{% include 'x' %}",
    "division": "{{ 1 / 0 }}",
    "attribute of nothing": "{{ nothing.at.all }}",
}  # fmt: skip


@pytest.mark.parametrize("source", HARMFUL.values(), ids=HARMFUL.keys())
def test_a_harmful_template_is_stopped(source: str) -> None:
    with pytest.raises(PunaError, match=r"^template: "):
        render(source)


PIECES = [
    "{{", "}}", "{%", "%}", " ", "messages", "if", "for m in", "endfor", "endif", "else", "set x =",
    "'a'", "[0]",
    ".role", "|", "tojson", "length", "(", ")", "+", "~", "1", "x", "is defined",
    "not", "{#", "#}", "-%}",
]  # fmt: skip


def failure(source: str) -> str | None:
    """What a template that fails says, or None."""
    try:
        render(source)
    except PunaError as error:
        return str(error)
    return None


@settings(deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_any_source_renders_or_is_refused(source: str) -> None:
    said = failure(source)
    assert said is None or said.startswith("template: ")


@settings(deadline=None)
@given(st.text().filter(lambda text: "{" not in text and "\r" not in text))
def test_text_without_tags_is_itself(text: str) -> None:
    assert render(text) == text.removesuffix("\n")
