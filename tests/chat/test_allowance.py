"""Long conversations render; a template's work and text stay bounded."""

from __future__ import annotations

import pytest

from puna.chat import Prompt, go, jinja
from puna.chat.prompt import Template
from puna.errors import BadRequest, PunaError
from puna.types import Message

GO = "{{ range .Messages }}{{ .Role }}: {{ .Content }}\n{{ end }}"
# It looks back from every message and reads its text often, as templates of 2026 do.
JINJA = """{% for m in messages %}{% set ns = namespace(before=-1) %}\
{% for i in range(loop.index0 - 1, -1, -1) %}\
{% if ns.before < 0 and messages[i].role == m.role %}{% set ns.before = i %}{% endif %}{% endfor %}\
{% set text = m.content %}{% for tag in ['<a>', '<b>', '<c>', '<d>', '<e>', '<f>'] %}\
{% set text = text.split(tag)[-1] %}{% endfor %}\
{{ m.role + ': ' + text | trim }}
{% endfor %}"""

each_language = pytest.mark.parametrize(
    "template", [go(GO), jinja(JINJA, bos="", eos="")], ids=["go", "jinja"]
)


def conversation(count: int, characters: int) -> Prompt:
    roles = ("user", "assistant")
    return Prompt(messages=[Message(role=roles[at % 2], content="a" * characters) for at in range(count)])


@each_language
@pytest.mark.parametrize(("count", "characters"), [(1, 6 << 20), (7, 1 << 20), (700, 2000)])
def test_a_long_conversation_renders(template: Template, count: int, characters: int):
    text = template.render(conversation(count, characters))
    assert len(text.splitlines()) == count
    assert text.count("a") >= count * characters


@each_language
def test_too_long_a_conversation_is_refused_by_its_fields_name(template: Template):
    with pytest.raises(BadRequest, match=r"^the messages are longer than 64 MiB$") as refused:
        template.render(conversation(2, 33 << 20))
    assert refused.value.field == "messages"


def test_a_conversation_is_not_repeated_without_end():
    in_go = "{{ range .Messages }}{{ range $.Messages }}{{ .Content }}{{ end }}{{ end }}"
    in_jinja = "{% for a in messages %}{% for b in messages %}{{ b.content }}{% endfor %}{% endfor %}"
    for template in (go(in_go), jinja(in_jinja, bos="", eos="")):
        with pytest.raises(PunaError, match=r"longer than|too many steps"):
            template.render(conversation(40, 100_000))


def test_tools_and_calls_count_too():
    call = {"function": {"name": "write", "arguments": {"text": "a" * (6 << 20)}}}
    tool = {"type": "function", "function": {"name": "write", "description": "b" * (6 << 20)}}
    prompt = Prompt(messages=[Message(role="assistant", tool_calls=[call])], tools=[tool])
    source = "{{ tools | tojson }}{% for m in messages %}{{ m.tool_calls | tojson }}{% endfor %}"
    assert len(jinja(source, bos="", eos="").render(prompt)) > 12 << 20
    assert len(go("{{ .Tools }}{{ range .Messages }}{{ .ToolCalls }}{{ end }}").render(prompt)) > 12 << 20
