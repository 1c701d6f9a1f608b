"""What strangers send, mutated: `make fuzz MINUTES=5`. Each crash becomes a test.

Where atheris is installed, `tests.fuzz_guided` mutates by what code is covered, elsewhere `mutated` does.

A reader may refuse what it is given with a PunaError, and nothing else; it takes no longer than SLOW for it.
"""

from __future__ import annotations

import asyncio
import functools
import io
import json
import random
import sys
import tempfile
import time
import wave
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image as Picture
from starlette.requests import Request

from puna import modelfile
from puna.chat import Exchange, Prompt, go, jinja
from puna.chat.families import FAMILIES
from puna.errors import PunaError
from puna.gguf import read_metadata
from puna.inference.pictures import decode_picture
from puna.inference.sounds import sound
from puna.server.body import decode
from puna.server.forms import form
from puna.server.native.requests import ChatRequest
from puna.types import Message
from tests.fuzz_guided import guided
from tests.models import scripted_model

SLOW = 20.0
"""Seconds. A large schema, or a template that runs into its bounds, takes a few."""

Target = Callable[[bytes], object]

_PROMPT = Prompt(
    messages=[Message(role="system", content="Be brief."), Message(role="user", content="Why?")],
    tools=[{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}],
    think=True,
)
_GO = (
    b"{{ if .System }}<s>{{ .System }}</s>{{ end }}{{ range $i, $m := .Messages }}"
    b'{{ if eq $m.Role "user" }}[INST]{{ $m.Content | printf "%s" }}[/INST]{{ else }}{{ json .ToolCalls }}'
    b"{{ end }}{{ end }}{{ slice .Prompt 0 1 }}{{ len .Tools }}"
)
_JINJA = (
    b"{%- macro m(x) %}{{ x | tojson }}{% endmacro %}{% for message in messages %}{{ message['role'] ~ ':' }}"
    b"{{ message.content[0:3] | trim }}{{ m(tools) }}{% endfor %}{% set n = namespace(a=1) %}"
    b"{{ range(9) | list }}"
)
_MODELFILE = (
    b'FROM ./a.gguf\nPARAMETER temperature 0.5\nPARAMETER stop "<|end|>"\nTEMPLATE """{{ .Prompt }}\n"""\n'
    b'SYSTEM Be brief.\nMESSAGE user hello\nLICENSE """MIT"""\nPARSER qwen3\n# said\n'
)
_SCHEMA = {
    "$defs": {"n": {"type": "integer", "minimum": -3, "maximum": 12}},
    "type": "object",
    "properties": {
        "a": {"$ref": "#/$defs/n"},
        "b": {"type": "string", "pattern": "^[a-z&&]{1,3}(?:x|y)$", "format": "date"},
        "c": {"anyOf": [{"type": "array", "items": {"enum": [1, "x"]}, "maxItems": 3}, {"const": None}]},
    },
    "required": ["a"],
    "additionalProperties": False,
}
_ANSWERS = (
    b"<think>\nso\n</think>\n\nIt is <tool_call>\n"
    b'{"name": "look", "arguments": {"at": [1, "x"]}}\n</tool_call>',
    b"<tool_call>look\n<arg_key>at</arg_key>\n<arg_value>sky</arg_value>\n</tool_call> then",
    b'[TOOL_CALLS][{"name": "look", "arguments": {"at": "sky"}}]<|python_tag|>look(at="sky")',
    b'<|channel|>analysis<|message|>hm<|end|><|start|>assistant to=functions.look<|message|>{"at":1}<|call|>',
    b"<function=look>\n<parameter=at>\nsky\n</parameter>\n</function></tool_call> [look(at='sky', n=1)]",
)
_FORM = (
    b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--x\r\nContent-Disposition: form-data; '
    b'name="file"; filename="a.wav"\r\nContent-Type: audio/wav\r\n\r\nRIFF\r\n--x--\r\n'
)


class Fields(msgspec.Struct):
    model: str = ""
    file: bytes = b""


def _gguf(folder: Path) -> tuple[list[bytes], Target]:
    path = folder / "seed.gguf"
    scripted_model(path, "said")
    seed = path.read_bytes()[:20_000]

    def read(data: bytes) -> object:
        path.write_bytes(data)
        return read_metadata(path, verbose=True)

    return [seed], read


def _picture(kind: str) -> bytes:
    file = io.BytesIO()
    Picture.new("RGB", (9, 7), "red").save(file, kind)
    return file.getvalue()


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, 16000, 0, "NONE", ""))
        writer.writeframes(bytes(640))
    return file.getvalue()


def _render(make: Callable[[str], Any], data: bytes) -> object:
    return make(data.decode("utf-8", "replace")).render(_PROMPT)


def _lowered(data: bytes) -> object:
    given = decode(data, dict[str, Any])
    tool = {"type": "function", "function": {"name": "look", "parameters": given}}
    return [_exchange(family, schema, tools).grammar() for family in FAMILIES[::6] for schema, tools in
            ((given, []), (None, [tool]))]  # fmt: skip


def _exchange(family: Any, schema: dict[str, Any] | None, tools: list[dict[str, Any]]) -> Any:
    return Exchange(family, "", None, tools=tools, schema=schema)


def _parsed(data: bytes) -> object:
    text, parts = data.decode("utf-8", "replace"), []
    for family in FAMILIES:
        parser = _exchange(family, None, _PROMPT.tools or []).parser()
        for at in range(0, len(text), 7):
            parts += parser.feed(text[at : at + 7])
        parts += parser.finish()
    return parts


def _form(data: bytes) -> object:
    sent = [{"type": "http.request", "body": data, "more_body": False}]

    async def receive() -> Any:
        return sent.pop() if sent else {"type": "http.disconnect"}

    headers = [(b"content-type", b"multipart/form-data; boundary=x")]
    request = Request({"type": "http", "method": "POST", "path": "/", "headers": headers}, receive)
    return asyncio.run(form(request, Fields))


def targets(folder: Path) -> dict[str, tuple[list[bytes], Target]]:
    """What is read, by name: examples of it, and what reads it."""
    chat = {
        "model": "m",
        "messages": [{"role": "user", "content": "x"}],
        "options": {"seed": 1},
        "think": "low",
    }
    return {
        "gguf": _gguf(folder),
        "modelfile": ([_MODELFILE], modelfile.parse),
        "go template": ([_GO], functools.partial(_render, go)),
        "jinja": ([_JINJA], functools.partial(_render, lambda text: jinja(text, bos="<s>", eos="</s>"))),
        "answers": (list(_ANSWERS), _parsed),
        "schemas": ([json.dumps(_SCHEMA).encode()], _lowered),
        "forms": ([_FORM], _form),
        "bodies": ([json.dumps(chat).encode()], lambda data: decode(data, ChatRequest)),
        "pictures": ([_picture(kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")], decode_picture),
        "sounds": ([_wav(), b"fLaC\x00\x00\x00\x22" + bytes(64), b"\xff\xfb\x90\x00" * 200], sound),
    }


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """A few changes: bytes of any kind, numbers at their limits, parts left out, doubled or moved."""
    data = bytearray(seed)
    for _ in range(chance.choice([1, 1, 2, 4, 12])):
        at, size = chance.randrange(len(data) + 1), chance.choice([1, 1, 2, 4, 8, 40])
        part = bytes(data[at : at + size])
        new = chance.choice(
            [b"", part * 2, part * 40, chance.randbytes(size), b"\xff" * size, bytes(size), part[::-1]]
        )
        if chance.random() < 0.3:
            new = chance.choice(
                [b'"', b"{{", b"}}", b"{%", b"(", b"\\", b"\xf0\x9f", b"99999999999", b"-1", b"</"]
            )
        data[at : at + (0 if chance.random() < 0.3 else size)] = new
    return bytes(data)


def crashes(folder: Path, rounds: Iterator[int]) -> list[str]:
    """What went wrong, each with the input that did it; every round gives each reader something."""
    wrong: list[str] = []
    readers = targets(folder)
    for number in rounds:
        for name, (seeds, read) in readers.items():
            chance = random.Random(f"{name} {number}")
            data = mutated(chance.choice(seeds), chance)
            began = time.monotonic()
            try:
                read(data)
            except PunaError:
                pass
            except Exception as error:
                wrong.append(f"{name} {number}: {error!r} of {data!r}")
            if time.monotonic() - began > SLOW:
                wrong.append(f"{name} {number}: {time.monotonic() - began:.0f} s for {data!r}")
    return wrong


def _until(end: float) -> Iterator[int]:
    """Numbers that no other run had, as long as there is time."""
    number = time.time_ns()
    while time.monotonic() < end:
        yield number
        number += 1


if __name__ == "__main__":
    given = 60 * float(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        if find_spec("atheris"):
            found = guided(targets(place), given)
        else:
            found = crashes(place, _until(time.monotonic() + given))
    print("\n".join(found) or "nothing found")
    sys.exit(bool(found))
