"""Modelfiles: recipes of models, as text (Ollama parser/parser.go, docs/modelfile.mdx).

    >>> parse(b"FROM llama3.2\\nPARAMETER temperature 0.5\\n").parameters
    {'temperature': 0.5}

One difference from Ollama's parser: it drops characters that Go considers unprintable, such as the joiner
inside an emoji or the ideographic space (U+3000). Here they stay.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from puna.errors import BadRequest
from puna.options import IGNORED, parameter
from puna.types import Message


class CommandArgument(str):
    """A parsed argument; `line` is the first line of its command."""

    __slots__ = ("line",)

    def __new__(cls, text: str, line: int) -> CommandArgument:
        argument = super().__new__(cls, text)
        argument.line = line
        return argument


class Modelfile(msgspec.Struct, frozen=True, kw_only=True):
    """A Modelfile's commands, each kind in the file's order. An empty text means that there is none."""

    sources: tuple[str, ...]
    """FROM: names of models, paths of GGUF files or of folders; at least one. `CommandArgument` if parsed."""
    adapters: tuple[str, ...] = ()
    """ADAPTER: paths of GGUF files or of folders. `CommandArgument` if parsed."""
    draft: str = ""
    """DRAFT: the name of a model, the path of a GGUF file or of a folder. `CommandArgument` if parsed."""
    template: str = ""
    system: str = ""
    renderer: str = ""
    parser: str = ""
    requires: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    """Values with the types of `puna.options.Options`; a list for parameters that may be repeated."""
    licenses: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    warnings: tuple[str, ...] = ()
    """Messages about commands without effect."""


_ROLES = ("system", "user", "assistant")
_COMMANDS = (
    *("from", "license", "template", "system", "adapter", "draft"),
    *("renderer", "parser", "parameter", "message", "requires"),
)
_UNKNOWN_COMMAND = (
    'command must be one of "from", "license", "template", "system", "adapter", "draft", "renderer", '
    '"parser", "parameter", "message", or "requires"'
)
_UNKNOWN_ROLE = 'message role must be one of "system", "user", or "assistant"'
_UNFINISHED = "unexpected EOF"

_NEWLINE = re.compile(r"\r\n?|\n")
_WORD = re.compile(r"([A-Za-z0-9_]+)[ \t]+")
_VERSION = re.compile(
    r"v?((0|[1-9]\d*)(\.(0|[1-9]\d*)){0,2}|"
    r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?(\+[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?)",
    re.ASCII,
)


def parse(data: bytes) -> Modelfile:
    """Read a Modelfile in UTF-8, or in UTF-16 with a byte order mark.

    Raises BadRequest "Modelfile:<line>: …" with the first line of the invalid command.
    """
    fields: dict[str, Any] = {"parameters": {}}
    several: dict[str, list[Any]] = {"from": [], "adapter": [], "license": [], "message": [], "warning": []}
    for command in _commands(_decode(data)):
        kind, value = command.name, command.value
        if kind == "parameter":
            if command.word in IGNORED:
                several["warning"].append(f"parameter {command.word} has no effect")
                continue
            try:
                read = parameter(command.word, value)
            except BadRequest as error:
                raise _error(command.line, str(error)) from None
            if isinstance(read, list):
                read = [*fields["parameters"].get(command.word, []), *read]
            fields["parameters"][command.word] = read
        elif kind == "message":
            several["message"].append(Message(role=command.word, content=value))
        elif kind in ("from", "adapter", "draft") and not value:
            source = "adapter" if kind == "adapter" else "model"
            raise _error(command.line, f"{kind.upper()} names no {source}")
        elif kind in ("from", "adapter"):
            several[kind].append(CommandArgument(value, command.line))
        elif kind == "license":
            several[kind].append(value)
        elif kind == "draft":
            if kind in fields:
                raise _error(command.line, "DRAFT: a model has one draft model")
            fields[kind] = CommandArgument(value, command.line)
        elif kind == "requires":
            if not _VERSION.fullmatch(value):
                raise _error(command.line, "requires must be a valid semver (e.g. 0.14.0)")
            fields["requires"] = value.removeprefix("v")
        else:
            fields[kind] = value
    if not several["from"]:
        raise BadRequest("Modelfile: no FROM line")
    return Modelfile(
        sources=tuple(several["from"]),
        adapters=tuple(several["adapter"]),
        licenses=tuple(several["license"]),
        messages=tuple(several["message"]),
        warnings=tuple(several["warning"]),
        **fields,
    )


def unparse(modelfile: Modelfile) -> str:
    """The text that `parse` reads as `modelfile`, without warnings.

    Modelfiles have no escapes, so they cannot express a text with a line, other than the last, that ends in
    three quotation marks. Raises BadRequest naming the command that cannot be expressed.
    """
    lines = [f"FROM {_quote('FROM', source, bare=True)}" for source in modelfile.sources]
    lines += [f"ADAPTER {_quote('ADAPTER', path, bare=True)}" for path in modelfile.adapters]
    if modelfile.draft:
        lines.append(f"DRAFT {_quote('DRAFT', modelfile.draft, bare=True)}")
    for command in ("template", "system", "renderer", "parser", "requires"):
        if text := getattr(modelfile, command):
            bare = command not in ("template", "system")
            lines.append(f"{command.upper()} {_quote(command.upper(), text, bare=bare)}")
    for name, setting in modelfile.parameters.items():
        for value in setting if isinstance(setting, list) else [setting]:
            text = _quote("PARAMETER", value) if isinstance(value, str) else json.dumps(value)
            lines.append(f"PARAMETER {name} {text}")
    lines += [f"LICENSE {_quote('LICENSE', text)}" for text in modelfile.licenses]
    lines += [
        f"MESSAGE {message.role} {_quote('MESSAGE', message.content)}" for message in modelfile.messages
    ]
    text = "\n".join(lines) + "\n"
    # Detects inexpressible values, such as a message with a picture or an unknown parameter.
    back = parse(text.encode("utf-8", "surrogatepass"))
    for field in modelfile.__struct_fields__:
        if field != "warnings" and getattr(back, field) != getattr(modelfile, field):
            raise BadRequest(f"a Modelfile cannot hold these {field}")
    return text


class _Command(NamedTuple):
    line: int
    name: str
    word: str
    """A parameter's name or a message's role."""
    value: str


def _error(line: int, reason: str) -> BadRequest:
    return BadRequest(f"Modelfile:{line}: {reason}")


def _decode(data: bytes) -> str:
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ):
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    return data.decode("utf-8", "replace")


def _commands(text: str) -> Iterator[_Command]:
    at, line, counted = 0, 1, 0
    while (at := _skip(text, at)) < len(text):
        line, counted = line + len(_NEWLINE.findall(text, counted, at)), at
        name, at = _word(text, at)
        name = name.lower()
        if name not in _COMMANDS:
            raise _error(line, _UNKNOWN_COMMAND)
        word = ""
        if name in ("parameter", "message"):
            word, at = _word(text, at)
            if not word:
                raise _error(line, _UNFINISHED)
            if name == "message" and word not in _ROLES:
                raise _error(line, _UNKNOWN_ROLE)
        read = _read_argument(text, at)
        if read is None:
            raise _error(line, f"{_UNFINISHED}: a quotation mark is not closed")
        value, at = read
        yield _Command(line, name, word, value)


def _skip(text: str, at: int) -> int:
    """The position of the next command, after blanks, comments and unprintable characters."""
    while at < len(text):
        if text[at] == "#":
            newline = _NEWLINE.search(text, at)
            at = newline.start() if newline else len(text)
        elif text[at] != " " and text[at].isprintable():
            break
        else:
            at += 1
    return at


def _word(text: str, at: int) -> tuple[str, int]:
    """The word at `at`, empty unless a blank follows it, and the position of the rest."""
    match = _WORD.match(text, at)
    return (match[1], match.end()) if match else ("", at)


def _read_argument(text: str, start: int) -> tuple[str, int] | None:
    """The argument at `start`, and the end of its last line; None for an unterminated quotation.

    A quotation, in three marks or one, ends with the first line that ends in the same marks.
    """
    end = _line_end(text, start)
    first = text[start:end].strip()
    quotes = '"""' if first.startswith('"""') else '"' if first.startswith('"') else ""
    if not quotes:
        return first, end
    inside = text.index(quotes, start) + len(quotes)
    line = inside
    while True:
        last = len(text[line:end].rstrip()) + line
        if last - len(quotes) >= inside and text.endswith(quotes, line, last):
            return text[inside : last - len(quotes)], end
        newline = _NEWLINE.match(text, end)
        if newline is None:
            return None
        line = newline.end()
        end = _line_end(text, line)


def _line_end(text: str, at: int) -> int:
    newline = _NEWLINE.search(text, at)
    return newline.start() if newline else len(text)


def _quote(command: str, text: str, *, bare: bool = False) -> str:
    """`text` as a command's argument; `bare` without quotation marks where possible."""
    one, three = f'"{text}"', f'"""{text}"""'
    quoted = (three, one) if '"' in text or "\n" in text else (one, three)
    for candidate in (text, *quoted) if bare else quoted:
        if _read_argument(candidate + "\n", 0) == (text, len(candidate)):
            return candidate
    raise BadRequest(f'a Modelfile cannot hold this {command}: a line in it ends in """')
