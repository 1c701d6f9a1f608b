"""gpt-oss: messages on channels, `<|channel|>analysis<|message|>…<|end|><|start|>assistant…`.

Analysis is reasoning, commentary to a recipient is a call with JSON arguments, all else content.

Sources: OpenAI's harmony response format guide; Ollama harmony/harmonyparser.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from puna.chat.parsing.markers import markers
from puna.chat.parsing.parts import Content, Thinking
from puna.chat.parsing.source import Malformed, Source, Step
from puna.chat.parsing.tagged import Asked
from puna.chat.parsing.tools import Tools
from puna.chat.parsing.values import json_object

_START, _MESSAGE, _CHANNEL = "<|start|>", "<|message|>", "<|channel|>"
ENDS = ("<|end|>", "<|call|>", "<|return|>")
_HEADER = ("to=", _CHANNEL, _MESSAGE, "<|constrain|>")
_BOUNDARIES = markers(*ENDS, _START, _CHANNEL)


@dataclass(frozen=True)
class Harmony:
    """Calls are calls whether or not the request has tools, for nothing else is addressed to a recipient."""

    special: frozenset[str] = frozenset({*ENDS, _START, _MESSAGE, _CHANNEL, "<|constrain|>"})

    def read(self, source: Source, asked: Asked) -> Step[None]:
        header, message, body = last_message(asked.prompt)
        boundary = "" if message and not any(end in body for end in ENDS) else _START
        while True:
            try:
                if boundary:
                    begun = _CHANNEL if boundary == _CHANNEL else header if not message else ""
                    header = begun + (yield from _header(source, begun))
                boundary = yield from _message(source, asked.tools, header)
            except (ValueError, RecursionError):
                source.refuse(Content)
                boundary = yield from _text(source, Content)
            finally:
                source.certain = False
            if boundary in ENDS:
                yield from source.skip()
                boundary = yield from source.choice(_START, _CHANNEL)
                if not boundary:
                    boundary = yield from _text(source, Content)
            if not boundary:
                return
            header = ""


def last_message(prompt: str) -> tuple[str, str, str]:
    """The prompt's last message: what there is of its header, the header's end, and its body."""
    return prompt.rpartition(_START)[2].partition(_MESSAGE) if _START in prompt else ("", "", "")


def _header(source: Source, begun: str) -> Step[str]:
    """The rest of a message's header, its end taken too. Raises Malformed where it cannot be one."""
    begun = begun.removeprefix("assistant").strip()
    # Text without a header may be all there is.
    source.certain = bool(begun) or source.holding or (yield from source.ahead()) == "<"
    if begun:
        return (yield from source.until(_MESSAGE))[0]
    yield from source.blank()
    yield from source.choice("assistant")
    yield from source.blank()
    first = yield from source.choice(*_HEADER)
    if not first:
        raise Malformed
    if first == _MESSAGE:
        return ""
    rest, _ = yield from source.until(_MESSAGE)
    return first + rest


def _message(source: Source, tools: Tools, header: str) -> Step[str]:
    """A message's body; the marker behind it, or "" at the end."""
    # A header that names two channels means the last.
    channel = "".join(re.findall(r"<\|channel\|>\s*(\w+)", header)[-1:])
    recipient = re.search(r"to=([^\s<]+)", header)
    if recipient and recipient[1] != "assistant" and channel != "final":
        name = _own_name(recipient[1].removeprefix("functions."), tools)
        source.certain = True
        yield from source.blank()
        if (yield from source.ahead()) == "{":
            source.called(name, json_object((yield from source.bracketed())))
        elif not recipient[1].startswith("functions.") and name not in tools.names:
            # To a tool of the model's own, which nobody runs.
            source.drop()
            return (yield from _text(source, Content))
        else:
            # A call without arguments may have no body; at the answer's end it may also be cut short.
            end = yield from source.choice(*ENDS)
            ended = source.ended and not source.cut
            if not end and (not ended or tools.required(name) or (yield from source.ahead())):
                raise Malformed
            source.called(name, {})
            return end
        yield from source.skip()
        return (yield from source.choice(*ENDS, _START, _CHANNEL)) or (yield from _text(source, Content))
    source.drop()
    return (yield from _text(source, Thinking if channel == "analysis" else Content))


def _text(source: Source, kind: type[Content] | type[Thinking]) -> Step[str]:
    """Text up to a boundary, white space and all."""
    boundary = yield from source.text(_BOUNDARIES, kind)
    if boundary:
        source.give_back_before(kind)
    return boundary


def _own_name(name: str, tools: Tools) -> str:
    """The tool's name for one that the model may have made an identifier of."""
    if name in tools.names:
        return name
    for own in tools.names:
        if name == shown_name(own):
            return own
    return name


def shown_name(name: str) -> str:
    """A tool's name as an identifier (Ollama harmony/harmonyparser.go, convertToValidChars)."""
    mapped = re.sub(r"[ .-]", "_", name)
    shown = "".join(char for char in mapped if char.isalnum() or char in "_$") or "unnamed"
    return f"_{shown}" if shown[0].isdigit() else shown


HARMONY = Harmony()
