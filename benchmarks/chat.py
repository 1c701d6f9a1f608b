"""What a conversation costs beside the model: prompts, the parsing of answers, grammars, pictures."""

from __future__ import annotations

import base64
import gc
import os
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from benchmarks.client import Stream, generate, stream
from benchmarks.inference import MODEL, NUM_CTX, STORE
from benchmarks.table import Row, median
from puna.chat import Prompt, Template, go, jinja, renderer
from puna.gguf import read_metadata
from puna.inference.answers import Reading
from puna.library import Layer, Library, Name, describe
from puna.library import install as install_starter
from puna.types import Delta, Message
from tests.chat.conversations import WEATHER
from tests.chat.families import parser_for, special_tokens
from tests.chat.parsing.reading import TOOLS
from tests.chat.parsing.written import WRITTEN, Written
from tests.chat.renderers.asked import NAMES
from tests.chat.test_jinja_templates import QWEN
from tests.models import install
from tests.running import serving
from tests.vision_models import qwen3vl_model

TOKENS = 2000
"""Of an answer that is parsed."""
TOKEN = 4
"""Characters."""
LONGER = 10

TEMPLATE = """\
{{- if or .System .Tools }}<|im_start|>system
{{ .System }}
{{- if .Tools }}

# Tools

You may call one or more functions. Their signatures are within <tools></tools>:
<tools>
{{- range .Tools }}
{"type": "function", "function": {{ .Function }}}
{{- end }}
</tools>

For each call, return a JSON object within <tool_call></tool_call>:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call>
{{- end }}<|im_end|>
{{ end }}
{{- range $i, $_ := .Messages }}
{{- $last := eq (len (slice $.Messages $i)) 1 }}
{{- if eq .Role "user" }}<|im_start|>user
{{ .Content }}<|im_end|>
{{ else if eq .Role "assistant" }}<|im_start|>assistant
{{ .Content }}
{{- range .ToolCalls }}
<tool_call>
{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
</tool_call>
{{- end }}{{ if not $last }}<|im_end|>
{{ end }}
{{- else if eq .Role "tool" }}<|im_start|>user
<tool_response>
{{ .Content }}
</tool_response><|im_end|>
{{ end }}
{{- if and $last (ne .Role "assistant") }}<|im_start|>assistant
{{ end }}
{{- end }}"""
"""A Go template of the form that Qwen 2.5 has in the public library."""

SCHEMA = {
    "type": "object",
    "properties": {
        "title": {"type": "string"},
        "chapters": {
            "type": "array",
            "minItems": 40,
            "items": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "pages": {"type": "integer"},
                    "people": {"type": "array", "items": {"type": "string"}, "minItems": 2},
                },
                "required": ["name", "pages", "people"],
            },
        },
    },
    "required": ["title", "chapters"],
}
ANSWER = 200
"""Tokens of an answer that is held to a grammar."""

SIDE = 448
"""Pixels, of a picture."""

OFFERING = "offering"
"""The starter model with a template that shows it tools."""


def rows() -> Iterator[Row]:
    """Every target of conversations."""
    yield from parsing()
    yield from rendering()
    yield from grammars()
    yield picture()


# Answers taken apart.


def parsing(rounds: int = 7) -> Iterator[Row]:
    """What a family's parser adds to a token, and to ten times as many in one answer."""
    gc.freeze()  # what the tests imported is not looked at again
    added, growth = [], []
    for written in WRITTEN:
        short, long = Answer(written, TOKENS), Answer(written, LONGER * TOKENS)
        gc.collect()
        costs = [(sum(short.added() for _ in range(LONGER)), long.added()) for _ in range(rounds)]
        added.append(statistics.median(1e6 * cost / (LONGER * short.tokens) for cost, _ in costs))
        growth.append(statistics.median(LONGER * more / cost for cost, more in costs))
    typical, slowest = statistics.median(added), max(added)
    yield Row("parsing, a token: median of the families", typical, 20, "µs", more_is_better=False)
    yield Row("parsing, a token: slowest family", slowest, 20, "µs", more_is_better=False)
    yield Row("parsing 10 times as much, slowest family", max(growth), 12, more_is_better=False)


class Answer:
    """A family's answer in tokens: a third reasoning if it reasons, a third text, a third a call."""

    def __init__(self, written: Written, tokens: int) -> None:
        part = TOKEN * tokens // 3
        text = "It may rain; 3 < 4, or {not}?\n" * (part // 30)
        thought = text.join(written.think) if written.think else ""
        said = f"{text.join(written.text)}{written.between}" if written.between else ""
        calls = [("forecast", {"zone": "São Tomé: 3 < 4 \\ x\n" * (part // 21)})]
        special = special_tokens(written.family)
        marker = "|".join(map(re.escape, special)) or "$^"
        parts = re.split(f"({marker})", thought + said + written.calls(calls))
        self._family = written.family
        self._deltas = [
            Delta(piece, 1)
            for part in parts
            for piece in ([part] if part in special else re.findall(f"(?s).{{1,{TOKEN}}}", part))
        ]
        self.tokens = len(self._deltas)

    def added(self) -> float:
        """Seconds of the processor that its parser takes."""
        parser = parser_for(
            self._family, tools=TOOLS, think=True, prompt="", last=Message(role="user", content="Rain?")
        )
        return self._read(Reading(parser)) - self._read(Reading(None))

    def _read(self, reading: Reading) -> float:
        started = time.process_time()
        for delta in self._deltas:
            reading.pieces(delta)
        reading.rest()
        return time.process_time() - started


# Conversations rendered.


def rendering() -> Iterator[Row]:
    """A chat of 20 messages to its prompt's text."""
    by_jinja, by_name = rendered(jinja(QWEN, bos="", eos="")), max(rendered(renderer(name)) for name in NAMES)
    yield Row("20 messages rendered, Go template", rendered(go(TEMPLATE)), 1, "ms", more_is_better=False)
    yield Row("20 messages rendered, Jinja template", by_jinja, 1, "ms", more_is_better=False)
    yield Row("20 messages rendered, slowest renderer", by_name, 1, "ms", more_is_better=False)


def conversation() -> Prompt:
    text = "The sky is blue because air scatters short waves of light more than long ones. " * 3
    roles = ("user", "assistant") * 10
    messages = [Message(role="system", content="You are brief.")]
    messages += [Message(role=role, content=f"{number}. {text}") for number, role in enumerate(roles[:19])]
    return Prompt(messages=messages, tools=[WEATHER] * 3)


def rendered(template: Template) -> float:
    """Milliseconds."""
    prompt = conversation()

    def once() -> float:
        started = time.perf_counter()
        template.render(prompt)
        return 1000 * (time.perf_counter() - started)

    return median(once, 101)


# Answers held to a grammar.


def grammars(rounds: int = 9) -> Iterator[Row]:
    """The starter model's speed with a grammar, of its speed without, at temperature 0."""
    library = Library(STORE)
    install_starter(library, Name.parse(MODEL), lambda _: None)
    options = {"temperature": 0, "num_predict": ANSWER, "num_ctx": NUM_CTX}
    with tempfile.TemporaryDirectory(dir=STORE.parent, prefix="bench-") as folder:
        store = Path(folder)
        install(store, OFFERING, library.open(MODEL).weights, template=TEMPLATE)
        with serving(store) as server, httpx.Client(base_url=server.url, timeout=None) as client:

            def against(question: str, **more: Any) -> float:
                """An answer to which `more` applies, between two in free text to the same prompt."""
                messages = [{"role": "user", "content": question}]
                body = {"model": OFFERING, "messages": messages, "options": options, **more}
                shown = client.post("/api/chat", json=body | {"_debug_render_only": True, "stream": False})
                prompt = shown.json()["_debug_info"]["rendered_template"]

                def free() -> float:
                    return rate(generate(server.port, OFFERING, prompt, **options))

                def once() -> float:
                    before = free()
                    held = rate(stream(server.port, "/api/chat", body))
                    return 2 * held / (before + free())

                return median(once, rounds)

            schema = against("Write the contents of a long novel about the sea.", format=SCHEMA)
            yield Row("decode constrained to a JSON schema, of free", schema, 0.9)
            offered = against("Write a long story about the sea.", tools=TOOLS)
            yield Row("decode of text with tools offered, of without", offered, 0.9)


def rate(answer: Stream) -> float:
    """Tokens a second after the first."""
    end = answer.last
    assert end["eval_count"] == ANSWER, f"the answer ended after {end['eval_count']} tokens"
    return (ANSWER - 1) / (end["eval_duration"] / 1e9)


# Pictures.


def picture(rounds: int = 11) -> Row:
    """The first token of another question about a picture, of that of the first question."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "models"
        _add_seer(store, Path(folder))
        with serving(store) as server:

            def ask(question: str, picture: str) -> float:
                message = {"role": "user", "content": question, "images": [picture]}
                options = {"temperature": 0, "num_predict": 8}
                body = {"model": "seer", "messages": [message], "options": options}
                return stream(server.port, "/api/chat", body).first

            def once() -> float:
                picture = _noise()
                first = ask("What is this?", picture)
                return ask("Why is it here?", picture) / first

            again = median(once, rounds)
    return Row("first token of a picture's second question, of the first's", again, 0.5, more_is_better=False)


def _add_seer(store: Path, folder: Path) -> None:
    """A small random model that sees, named `seer`."""
    library, layers = Library(store), []
    model, projector = qwen3vl_model(folder)
    for kind, path in (("model", model), ("projector", projector)):
        with path.open("rb") as file:
            layers.append(Layer(f"application/vnd.ollama.image.{kind}", *library.blobs.add(file)))
    library.write_manifest(Name.parse("seer"), describe(read_metadata(model)), layers)


def _noise() -> str:
    """A new picture, as requests carry it."""
    file = BytesIO()
    Image.frombytes("RGB", (SIDE, SIDE), os.urandom(3 * SIDE * SIDE)).save(file, "JPEG")
    return base64.b64encode(file.getvalue()).decode()
