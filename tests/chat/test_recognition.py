"""A chat template is known by what it writes, whatever its text."""

from __future__ import annotations

import pytest

from puna.chat import Prompt, go, jinja, jinja_has_more_features, recognize
from puna.types import Message

TURN = "{% for m in messages %}"
CHATML = (
    TURN + "{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
DEFAULT = (
    "{% if messages[0]['role'] != 'system' %}{{ '<|im_start|>system\nYou are Ada.<|im_end|>\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}"
    + TURN
    + "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim"
    " + '<|eot_id|>' }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}"
)
GEMMA = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    + TURN
    + "{{ '<start_of_turn>' + ('model' if m.role == 'assistant' else m.role) + '\n' + m.content"
    " + '<end_of_turn>\n' }}{% endfor %}{{ '<start_of_turn>model\n' }}"
)
MISTRAL = (
    "{{ bos_token }}" + TURN + "{% if m.role == 'user' %}{{ '[INST] ' + m.content + ' [/INST]' }}"
    "{% elif m.role == 'assistant' %}{{ m.content + eos_token }}"
    "{% else %}{{ raise_exception('no system') }}{% endif %}{% endfor %}"
)
LLAMA2 = (
    "{% if messages[0].role == 'system' %}{% set s = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}"
    "{% set messages = messages[1:] %}{% else %}{% set s = '' %}{% endif %}"
    + TURN
    + "{% if m.role == 'user' %}"
    "{{ bos_token + '[INST] ' + (s if loop.first else '') + m.content + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}"
)
ZEPHYR = (
    TURN + "{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}{{ '<|assistant|>\n' }}"
)
PHI = TURN + "{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}{{ '<|assistant|>\n' }}"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        (CHATML, "chatml"),
        (DEFAULT + CHATML, "chatml"),
        (LLAMA3, "llama3-instruct"),
        (GEMMA, "gemma-instruct"),
        (GEMMA + "{# <start_of_image> #}", "gemma3-instruct"),
        (MISTRAL, "mistral-instruct"),
        (LLAMA2, "llama2-chat"),
        (ZEPHYR, "zephyr"),
        (PHI, "phi-3"),
    ],
)
def test_a_template_is_recognized_and_its_go_form_writes_the_same_turns(source: str, name: str):
    found = recognize(source)
    assert found is not None
    assert found.name == name
    conversation = [
        Message(role="system", content="Be brief."),
        Message(role="user", content="Why?"),
        Message(role="assistant", content="So."),
        Message(role="user", content="And?"),
    ]
    prompt = Prompt(messages=conversation)
    theirs = jinja(source, bos="", eos="</s>").render(prompt)
    ours = go(found.template).render(prompt)
    assert ours.replace("<s>", "") == theirs
    assert any(stop in ours for stop in found.stop)


@pytest.mark.parametrize(
    "source",
    [
        "",
        "{{ messages[0].content }}",
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}",
        CHATML.replace("im_start", "im_begin"),
        CHATML + "{% if tools %}{{ tools }}{% endif %}",
        CHATML + "{% if enable_thinking %}<think>{% endif %}",
        "{{ raise_exception('never') }}",
        "{% for m in messages %}",
    ],
)
def test_others_are_left_as_they_are(source: str):
    assert recognize(source) is None


TOOLS = CHATML + "{% if tools %}{{ tools }}{% endif %}"
WITH_ANSWERS = TOOLS + "{% if m.tool_calls %}{% endif %}{% if m.role == 'tool' %}{% endif %}"
GO = "{{ range .Messages }}{{ .Role }}{{ .Content }}{{ end }}"
GO_TOOLS = "{{ .Tools }}" + GO
GO_WITH_ANSWERS = GO_TOOLS + '{{ range .Messages }}{{ .ToolCalls }}{{ if eq .Role "tool" }}{{ end }}{{ end }}'


@pytest.mark.parametrize(
    ("source", "go_template", "more"),
    [
        (CHATML, GO, False),
        (TOOLS, GO, True),
        (CHATML, GO_TOOLS, False),
        (TOOLS, GO_TOOLS, False),
        (WITH_ANSWERS, GO_TOOLS, True),
        (WITH_ANSWERS, GO_WITH_ANSWERS, False),
        (TOOLS + "<think></think>", GO_WITH_ANSWERS, False),
        (WITH_ANSWERS + "<think></think>", GO_WITH_ANSWERS, True),
        (TOOLS, GO + "{{ .Suffix }}", False),
    ],
)
def test_the_template_that_tells_more_is_asked(source: str, go_template: str, more: bool):
    assert jinja_has_more_features(source, go_template) is more
