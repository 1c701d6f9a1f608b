"""gpt-oss: messages on channels, `<|channel|>analysis<|message|>…<|end|><|start|>assistant…`.

Analysis is reasoning, commentary to a recipient is a call with JSON arguments, all else content.

Sources: OpenAI's harmony response format guide; Ollama harmony/harmonyparser.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Constraint, Rules, ToolFunction
from puna.chat.grammars.answer import content
from puna.chat.grammars.objects import arguments
from puna.chat.grammars.rules import literal
from puna.chat.parsing import Content, Expected, Malformed, Scanner, Step, Thought, Tools
from puna.chat.parsing.markers import markers
from puna.chat.parsing.values import json_object
from puna.chat.renderers import Renderer
from puna.chat.renderers.harmony import harmony
from puna.types import Grammar

_START, _MESSAGE, _CHANNEL = "<|start|>", "<|message|>", "<|channel|>"
_END = "<|end|>"
_ENDS = (_END, "<|call|>", "<|return|>")
_HEADER = ("to=", _CHANNEL, _MESSAGE, "<|constrain|>")
_BOUNDARIES = markers(*_ENDS, _START, _CHANNEL)


@dataclass(frozen=True)
class Harmony:
    """A message to a recipient is always a call, even when the request has no tools."""

    special: frozenset[str] = frozenset({*_ENDS, _START, _MESSAGE, _CHANNEL, "<|constrain|>"})
    reasoning: str = "<|channel|>analysis"

    def read(self, source: Scanner, expected: Expected) -> Step[None]:
        header, message, body = _last_message(expected.prompt)
        boundary = "" if message and not any(end in body for end in _ENDS) else _START
        while True:
            try:
                if boundary:
                    begun = _CHANNEL if boundary == _CHANNEL else header if not message else ""
                    header = begun + (yield from _header(source, begun))
                boundary = yield from _message(source, expected.tools, header)
            except (ValueError, RecursionError):
                source.refuse(Content)
                boundary = yield from _text(source, Content)
            finally:
                source.certain = False
            if boundary in _ENDS:
                yield from source.skip()
                boundary = yield from source.choice(_START, _CHANNEL)
                if not boundary:
                    boundary = yield from _text(source, Content)
            if not boundary:
                return
            header = ""


def _last_message(prompt: str) -> tuple[str, str, str]:
    """The prompt's last message: its partial header, the header's end, and its body."""
    return prompt.rpartition(_START)[2].partition(_MESSAGE) if _START in prompt else ("", "", "")


def _header(source: Scanner, begun: str) -> Step[str]:
    """Reads the rest of a message's header and its end. Raises Malformed for anything else."""
    begun = begun.removeprefix("assistant").strip()
    # The answer may be text without any header.
    source.certain = bool(begun) or source.has_pending or (yield from source.ahead()) == "<"
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


def _message(source: Scanner, tools: Tools, header: str) -> Step[str]:
    """Reads a message's body; returns the marker after it, or "" at the end."""
    # If a header names two channels, the last counts.
    channel = "".join(re.findall(r"<\|channel\|>\s*(\w+)", header)[-1:])
    recipient = re.search(r"to=([^\s<]+)", header)
    if recipient and recipient[1] != "assistant" and channel != "final":
        name = _own_name(recipient[1].removeprefix("functions."), tools)
        source.certain = True
        yield from source.blank()
        if (yield from source.ahead()) == "{":
            source.called(name, json_object((yield from source.bracketed())))
        elif not recipient[1].startswith("functions.") and name not in tools.names:
            # For a built-in tool of the model, which nobody runs.
            source.drop()
            return (yield from _text(source, Content))
        else:
            # A call without arguments may have no body, or be cut short at the answer's end.
            end = yield from source.choice(*_ENDS)
            ended = source.ended and not source.cut
            if not end and (not ended or tools.required(name) or (yield from source.ahead())):
                raise Malformed
            source.called(name, {})
            return end
        yield from source.skip()
        return (yield from source.choice(*_ENDS, _START, _CHANNEL)) or (yield from _text(source, Content))
    source.drop()
    return (yield from _text(source, Thought if channel == "analysis" else Content))


def _text(source: Scanner, kind: type[Content] | type[Thought]) -> Step[str]:
    """Reads text up to a boundary, including white space."""
    boundary = yield from source.text(_BOUNDARIES, kind)
    if boundary:
        source.emit_before_last(kind)
    return boundary


def _own_name(name: str, tools: Tools) -> str:
    """The tool's name for a name that the model may have turned into an identifier."""
    if name in tools.names:
        return name
    for own in tools.names:
        if name == _shown_name(own):
            return own
    return name


def _shown_name(name: str) -> str:
    """A tool's name as an identifier (Ollama harmony/harmonyparser.go, convertToValidChars)."""
    mapped = re.sub(r"[ .-]", "_", name)
    shown = "".join(char for char in mapped if char.isalnum() or char in "_$") or "unnamed"
    return f"_{shown}" if shown[0].isdigit() else shown


def _constrain(constraint: Constraint) -> Grammar | None:
    """Messages in these models' order: reasoning and notices, then the answer or calls."""
    functions, schema, required = constraint.functions, constraint.schema, constraint.required
    if not functions and schema is None:
        return None
    rules = Rules()
    start, channel, message = map(rules.marker, (_START, _CHANNEL, _MESSAGE))
    kind = f'(GAP {rules.marker("<|constrain|>")} GAP "json" | " json")?'
    channel = f"{channel} GAP"
    free = schema is None and not required
    notice = ' | "commentary"' if free else ""
    opened = f'GAP {channel} ("analysis"{notice}) {message}'
    text = rules.without(_START, _CHANNEL, *(end for end in _ENDS if end != _END))
    until_end = rules.until(_END, text)
    thought = rules.rule("thought", f"{opened} {until_end}")
    final = rules.rule("final", f'GAP ({channel} "final" {kind})? {message}')
    next_one = rules.rule("next", f'GAP {start} GAP "assistant"')
    call_end = f"({rules.marker(_END)} | {rules.marker('<|call|>')})"
    calls = [f"{_recipient(rules, one)} {kind} {message} SPACE {arguments(rules, one)}" for one in functions]
    call = rules.any_of("call", calls) if calls else ""

    before, goals = [thought], []
    if schema is not None and not required:
        goals.append(f"{final} {content(rules, schema)}")
    if call:
        goals.append(f"{call} ({call_end})?" if constraint.parallel else call)
        if constraint.parallel:
            before.append(f"{call} {call_end}")
    if free:
        goals += [f"{final} {text}", f"{opened} {text}", thought]
        before.append(f"{final} {until_end}")
    messages = rules.rule("messages", f"(({' | '.join(before)}) {next_one})* ({' | '.join(goals)})")

    header, begun, body = _last_message(constraint.expected.prompt)
    if begun and not any(end in body for end in _ENDS):
        ended = f"{until_end} {next_one} {messages}"
        if "<|channel|>analysis" in header or "to=" in header or required:
            return rules.grammar(ended if schema is not None or required else f"{ended} | {text}")
        if schema is not None:
            return rules.grammar(content(rules, schema))
        return rules.grammar(f"{ended} | {text}")
    if header.strip() == "assistant":
        return rules.grammar(messages)
    return rules.grammar(f'({start} "assistant")? {messages}')


def _recipient(rules: Rules, function: ToolFunction) -> str:
    """The recipient, before or after the channel."""
    channel = f'{rules.marker(_CHANNEL)} GAP ("commentary" | "analysis")'
    to = f'GAP "to=" ("functions.")? {literal(_shown_name(function.name))}'
    return f"GAP ({channel} {to} | {to} {channel})"


_FORMAT = Harmony()
_RENDERER = Renderer(harmony, "tools", "think")

FAMILY = Family(
    variants=(
        Variant("harmony", tools=True, thinks=True, renderer=_RENDERER),
        Variant("gpt-oss", tools=True, thinks=True, renderer=_RENDERER),
    ),
    evidence=(Evidence((_CHANNEL, _MESSAGE)),),
    architectures=("gptoss", "gpt-oss"),
    always_thinks=True,
    format=_FORMAT,
    constrain=_constrain,
)
