"""Recognizes a GGUF's Jinja chat template by its output, and returns the equivalent Go template.

Ollama compares the templates' texts (template/template.go, Named). Here both render the same conversation, so
default system messages and layout do not matter. Templates with tools or reasoning are not recognized,
because the Go template would lack these.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from typing import NamedTuple

from puna.errors import PunaError
from puna.types import Message

from .detect import can_call_tools, can_think
from .jinja import jinja
from .modelfile import go
from .prompt import Prompt, Template


class KnownTemplate(NamedTuple):
    """A Go template with its name in Ollama, and the stop texts of answers."""

    name: str
    template: str
    stop: tuple[str, ...]


_SYSTEM_FIRST = """\
{{- $system := "" }}
{{- range .Messages }}
{{- if eq .Role "system" }}{{ $system = .Content }}
{{- else if eq .Role "user" }}"""
"""The beginning of a template that puts the system message into the user's turn, as `$system`."""

_GEMMA = f"""\
{_SYSTEM_FIRST}<start_of_turn>user
{{{{ if $system }}}}{{{{ $system }}}}

{{{{ $system = "" }}}}{{{{ end }}}}{{{{ .Content }}}}<end_of_turn>
{{{{ else if eq .Role "assistant" }}}}<start_of_turn>model
{{{{ .Content }}}}<end_of_turn>
{{{{ end }}}}
{{{{- end }}}}<start_of_turn>model
"""

_KNOWN_TEMPLATES = (
    KnownTemplate(
        "chatml",
        """\
{{ range .Messages }}<|im_start|>{{ .Role }}
{{ .Content }}<|im_end|>
{{ end }}<|im_start|>assistant
""",
        ("<|im_start|>", "<|im_end|>"),
    ),
    KnownTemplate(
        "llama3-instruct",
        """\
{{ range .Messages }}<|start_header_id|>{{ .Role }}<|end_header_id|>

{{ .Content }}<|eot_id|>{{ end }}<|start_header_id|>assistant<|end_header_id|>

""",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    KnownTemplate("gemma-instruct", _GEMMA, ("<start_of_turn>", "<end_of_turn>")),
    KnownTemplate("gemma3-instruct", _GEMMA, ("<end_of_turn>",)),
    KnownTemplate(
        "phi-3",
        """\
{{ range .Messages }}<|{{ .Role }}|>
{{ .Content }}<|end|>
{{ end }}<|assistant|>
""",
        ("<|end|>", "<|system|>", "<|user|>", "<|assistant|>"),
    ),
    KnownTemplate(
        "zephyr",
        """\
{{ range .Messages }}<|{{ .Role }}|>
{{ .Content }}</s>
{{ end }}<|assistant|>
""",
        ("<|system|>", "</s>", "<|user|>", "<|assistant|>"),
    ),
    KnownTemplate(
        "mistral-instruct",
        f"""\
{_SYSTEM_FIRST}[INST] {{{{ if $system }}}}{{{{ $system }}}}

{{{{ $system = "" }}}}{{{{ end }}}}{{{{ .Content }}}} [/INST]
{{{{- else if eq .Role "assistant" }}}}{{{{ .Content }}}}</s>
{{{{- end }}}}
{{{{- end }}}}""",
        ("[INST]", "[/INST]"),
    ),
    KnownTemplate(
        "llama2-chat",
        f"""\
{_SYSTEM_FIRST}[INST] {{{{ if $system }}}}<<SYS>>
{{{{ $system }}}}
<</SYS>>

{{{{ $system = "" }}}}{{{{ end }}}}{{{{ .Content }}}} [/INST]
{{{{- else if eq .Role "assistant" }}}} {{{{ .Content }}}} </s><s>
{{{{- end }}}}
{{{{- end }}}}""",
        ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
    ),
    KnownTemplate(
        "openchat",
        """\
{{ range .Messages }}GPT4 Correct {{ if eq .Role "system" }}System
{{- else if eq .Role "user" }}User
{{- else }}Assistant{{ end }}: {{ .Content }}<|end_of_turn|>{{ end }}GPT4 Correct Assistant:""",
        ("<|end_of_turn|>",),
    ),
    KnownTemplate(
        "alfred",
        "{{ range .Messages }}<start_{{ .Role }}>{{ .Content }}<end_message>{{ end }}<start_assistant>",
        ("<start_system>", "<end_message>", "<start_user>", "<start_assistant>"),
    ),
    KnownTemplate(
        "alpaca",
        f"""\
{_SYSTEM_FIRST}{{{{ if $system }}}}{{{{ $system }}}}
{{{{ $system = "" }}}}{{{{ end }}}}### Instruction:
{{{{ .Content }}}}
{{{{ else if eq .Role "assistant" }}}}### Response:
{{{{ .Content }}}}
<|EOT|>
{{{{ end }}}}
{{{{- end }}}}### Response:
""",
        ("### Instruction:", "### Response"),
    ),
    KnownTemplate(
        "starcoder2-instruct",
        f"""\
{_SYSTEM_FIRST}{{{{ if $system }}}}{{{{ $system }}}}

{{{{ $system = "" }}}}{{{{ end }}}}### Instruction
{{{{ .Content }}}}

{{{{ else if eq .Role "assistant" }}}}### Response
{{{{ .Content }}}}<|endoftext|>

{{{{ end }}}}
{{{{- end }}}}### Response
""",
        ("### Instruction", "### Response", "<|endoftext|>"),
    ),
    KnownTemplate(
        "magicoder",
        f"""\
{_SYSTEM_FIRST}{{{{ if $system }}}}{{{{ $system }}}}

{{{{ $system = "" }}}}{{{{ end }}}}@@ Instruction
{{{{ .Content }}}}

{{{{ else if eq .Role "assistant" }}}}@@ Response
{{{{ .Content }}}}

{{{{ end }}}}
{{{{- end }}}}@@ Response
""",
        ("@@ Instruction", "@@ Response"),
    ),
    KnownTemplate(
        "solar-instruct",
        """\
{{ range .Messages }}### {{ if eq .Role "system" }}System
{{- else if eq .Role "user" }}User
{{- else }}Assistant{{ end }}:
{{ .Content }}{{ if eq .Role "assistant" }}</s>{{ end }}

{{ end }}### Assistant:
""",
        ("### System:", "### User:", "### Assistant"),
    ),
    KnownTemplate(
        "granite-instruct",
        """\
{{ range .Messages }}{{ if eq .Role "system" }}System
{{- else if eq .Role "user" }}Question
{{- else }}Answer{{ end }}:
{{ .Content }}

{{ end }}Answer:
""",
        ("System:", "Question:", "Answer:"),
    ),
    KnownTemplate(
        "falcon-instruct",
        """\
{{ range .Messages }}{{ if eq .Role "system" }}System: {{ else if eq .Role "user" }}User:
{{ else }}Falcon:
{{ end }}{{ .Content }}
{{ end }}Falcon:
""",
        ("User:", "Assistant:"),
    ),
    KnownTemplate(
        "chatqa",
        """\
{{ range .Messages }}{{ if eq .Role "system" }}System
{{- else if eq .Role "user" }}User
{{- else }}Assistant{{ end }}: {{ .Content }}

{{ end }}Assistant:""",
        ("System:", "User:", "Assistant:", "<|begin_of_text|>"),
    ),
    KnownTemplate(
        "codellama-70b-instruct",
        """\
{{ range .Messages }}Source: {{ .Role }}

 {{ .Content }} <step> {{ end }}Source: assistant
Destination: user

 """,
        ("Source:", "Destination:", "<step>"),
    ),
    KnownTemplate(
        "command-r",
        """\
{{ range .Messages }}<|START_OF_TURN_TOKEN|>
{{- if eq .Role "system" }}<|SYSTEM_TOKEN|>
{{- else if eq .Role "user" }}<|USER_TOKEN|>
{{- else }}<|CHATBOT_TOKEN|>{{ end }}{{ .Content }}<|END_OF_TURN_TOKEN|>
{{- end }}<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>""",
        ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
    ),
)

_ALSO = {"gemma3-instruct": "<start_of_image>", "llama2-chat": "<<SYS>>"}
"""A further text of a form's Jinja template, where another form writes the same turns."""

_WITH_TOOLS = {
    "e10ca381b1ccc5cf9db52e371f3b6651576caee0a630b452e2816b2d404d4b65": "llama3-instruct",
}
"""SHA-256 of templates with tools that Ollama recognizes (Llama 3.1's)."""

_ENDS = re.compile(r"\s|<s>|</s>|<\|endoftext\|>|<\|EOT\|>")
"""Ignored in the comparison, because templates take end-of-turn tokens from the vocabulary."""

_PROBE = Prompt(
    messages=[
        Message(role="user", content="one"),
        Message(role="assistant", content="two"),
        Message(role="user", content="three"),
    ]
)


def recognize(source: str) -> KnownTemplate | None:
    """The Go form of the Jinja template `source`; None for an unknown one."""
    by_name = {form.name: form for form in _KNOWN_TEMPLATES}
    if name := _WITH_TOOLS.get(hashlib.sha256(source.encode()).hexdigest()):
        return by_name[name]
    if can_call_tools(source) or can_think(source):
        return None
    try:
        written = _comparable_text(jinja(source, bos="", eos=""))
    except PunaError:
        return None
    found = [
        form
        for form, turns in zip(_KNOWN_TEMPLATES, _turns(), strict=True)
        # A default system message may come before them.
        if written.endswith(turns) and _ALSO.get(form.name, "") in source
    ]
    return max(found, key=lambda form: form.name in _ALSO, default=None)


@cache
def _turns() -> list[str]:
    return [_comparable_text(go(form.template)) for form in _KNOWN_TEMPLATES]


def _comparable_text(template: Template) -> str:
    return _ENDS.sub("", template.render(_PROBE))
