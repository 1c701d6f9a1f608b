"""What a model's name and template say of its answers."""

from __future__ import annotations

import pytest

from puna.chat import can_call_tools, can_think, family_of
from puna.chat.generic import LearnedFormat, learn_format
from tests.chat.families import family as family_called
from tests.chat.families import special_tokens

from .reading import NOW, called, content, parsed

GO = "{{ range .Messages }}{{ .Role }}: {{ .Content }}{{ end }}"
GO_TOOLS = (
    "{{ if .Tools }}{{ .Tools }}{{ end }}{{ range .Messages }}"
    '{{ if eq .Role "user" }}{{ .Content }}{{ else if .ToolCalls }} %s'
    "{{ range .ToolCalls }}{{ .Function.Name }}{{ end }}{{ end }}{{ end }}"
)
GO_THINKS = (
    "{{ range $i, $_ := .Messages }}{{ if .Thinking }}\n<think>\n{{ .Thinking }}</think> {{ end }}{{ end }}"
)
JINJA = "{% for message in messages %}{{ message.content }}{% endfor %}"


@pytest.mark.parametrize(
    ("name", "template", "architecture", "family"),
    [
        ("qwen3-vl-thinking", "[TOOL_CALLS]", "llama", "qwen3-vl-thinking"),
        ("deepseek3.1", "", "deepseek2", "deepseek3.1"),
        ("unheard of", "[TOOL_CALLS]", "llama", "mistral"),
        ("", "", "gptoss", "harmony"),
        ("", "<|channel|>analysis<|message|>", "llama", "harmony"),
        ("", "<｜tool▁calls▁begin｜> <think> <tool_call>", "qwen2", "deepseek"),
        ("", "<tool_call> <think>", "qwen3", "hermes"),
        ("", "<tool_call> <function=x> <parameter=", "qwen3moe", "qwen3-coder"),
        ("", "<tool_call> <function=x> <parameter= <think>", "qwen35", "qwen3.5"),
        ("", "<tool_call> <arg_key> <think>", "glm4moe", "glm"),
        ("", "<|python_tag|>", "llama", "llama3"),
        ("", "<|tool_call|>", "granite", "granite"),
        ("", "<|tool_call>call:", "gemma4", "gemma4"),
        ("", "<start_function_call>", "gemma3", "functiongemma"),
        ("", "<|tool_call_start|>", "lfm2", "lfm2"),
        ("", "<|im_start|> List of tools: <|tool_list_start|>[", "lfm2moe", "lfm2"),
        ("", "<|im_start|> List of tools: <tool_call>", "lfm2", "hermes"),
        ("", "<|START_ACTION|>", "cohere2", "cohere"),
        ("", "<function_calls>", "olmo2", "olmo3"),
        ("", "<|tool_calls_section_begin|> <think>", "deepseek2", "kimi-k2"),
        ("", "<minimax:tool_call> <response> <think>", "minimax-m2", "minimax-m2"),
        ("", "<seed:tool_call> <function=x> <parameter=", "seed_oss", "seed-oss"),
        ("", "<{{ '｜DSML｜' }}function_calls> <think>", "deepseek2", "deepseek3.2"),
        ("", "<tool_calls> <think>", "hunyuan-moe", "hunyuan"),
        ("", "<tool_calls> [BEGIN FINAL RESPONSE]", "llava", "apriel"),
        ("", '<tools> <function name="f"><param name="k"> <think> <|im_start|>', "llama", "minicpm5"),
        ("", "<|think|> <|tool_calls|> <|tool_call:name|>", "solar-open", "solar-open"),
        ("", "<TOOLCALL> <think>", "nemotron_h", "nemotron-nano-v2"),
        ("", "<|tool|> <|/tool|> <|tool_call|>", "phi3", "phi4-mini"),
        ("", "functools[", "phi3", "phi4-mini"),
        ("", "<|tools_prefix|>", "apertus", "apertus"),
        ("", "<|action_start|><|plugin|>", "internlm2", "internlm"),
        ("", "<|function_call|>", "deepseek2", "gigachat"),
        ("", "function call<|role_sep|>", "deepseek2", "gigachat"),
        ("", "<tool_call> <response> <think>", "ernie4_5", "ernie"),
        ("", "<|header_start|>", "llama4", "llama4"),
        ("", '<|start_header_id|> "arguments"', "llama", "llama3"),
    ],
)
def test_whose_family_a_model_is(name: str, template: str, architecture: str, family: str):
    assert family_of(name, template, architecture) is family_called(family)


@pytest.mark.parametrize("template", ["", GO, GO_TOOLS % "<call>", JINJA, "{{ broken"])
def test_a_template_that_shows_no_family_makes_one_of_its_own(template: str):
    assert family_of("", template, "llama").variants == ()


@pytest.mark.parametrize(
    ("template", "tools", "thinks"),
    [
        (GO, False, False),
        (GO_TOOLS % "", True, False),
        (GO_THINKS, False, True),
        ("{{ if .Think }}/think{{ end }}{{ .Prompt }}", False, True),
        ("{{ .Prompt }} What tools? <think></think>", False, False),
        (JINJA, False, False),
        ("Such tools! " + JINJA, False, False),
        ("{% if tools %}{{ tools | tojson }}{% endif %}", True, False),
        ("{% if message['tool_calls'] %}{% endif %}", True, False),
        ("{% if enable_thinking %}x{% endif %}", False, True),
        ("{% if x %}<seed:think>{% endif %}", False, True),
        ("{% if x %}<think>{{ y }}</think>{% endif %}", False, True),
        ("{% set content = content.split('</think>')[-1] %}", False, True),
        ("", False, False),
        ("{{ broken", False, False),
    ],
)
def test_what_a_template_can(template: str, tools: bool, thinks: bool):
    assert can_call_tools(template) is tools
    assert can_think(template) is thinks


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        (GO, LearnedFormat()),
        (GO_TOOLS % "", LearnedFormat("{")),
        (GO_TOOLS % "[", LearnedFormat("[")),
        (GO_TOOLS % "<call>\n{ ", LearnedFormat("<call>")),
        (GO_TOOLS % "[CALL] ", LearnedFormat("[CALL]")),
        (GO_THINKS, LearnedFormat("{", ("<think>", "</think>"))),
        ("{{ range .Other }}<a>{{ .Thinking }}</a>{{ end }}", LearnedFormat()),
        ("{{ broken", LearnedFormat()),
    ],
)
def test_notation_is_learnt_from_a_go_template(template: str, expected: LearnedFormat):
    assert learn_format(template) == expected


@pytest.mark.parametrize(
    ("marker", "answer"),
    [
        ("<call>", 'a <call>{"name": "now", "arguments": {}}</call>'),
        ("[CALL]", 'a [CALL] [{"name": "now", "arguments": {}}]'),
        ("Calling tools:", 'a Calling tools:\n{"name": "now", "parameters": {}}\n'),
    ],
)
def test_calls_behind_a_templates_own_marker(marker: str, answer: str):
    template = GO_TOOLS % marker
    assert parsed("generic", *answer, template=template) == [*content("a"), *called(NOW)]
    assert parsed("generic", answer[2:], template=template) == called(NOW)


def test_a_marker_that_is_also_a_tag_does_no_harm():
    template = GO_THINKS + GO_TOOLS % "<think>"
    assert parsed("generic", "Yes.", template=template) == content("Yes.")


def test_special_tokens():
    assert "<|channel|>" in special_tokens("harmony")
    assert special_tokens("generic") == frozenset()
    template = GO_THINKS + GO_TOOLS % "[CALL]"
    assert special_tokens("generic", template) == {"<think>", "</think>", "[CALL]", "[/CALL]"}
