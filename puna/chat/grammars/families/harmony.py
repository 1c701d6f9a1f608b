"""gpt-oss: messages on channels, calls to recipients."""

from __future__ import annotations

from puna.chat.grammars.answer import Held, content
from puna.chat.grammars.objects import arguments
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function
from puna.chat.parsing.families.harmony import ENDS, last_message, shown_name
from puna.types import Grammar

_END = "<|end|>"


def harmony(held: Held) -> Grammar | None:
    """Messages in the order these models write them: reasoning and notices, then the answer or calls."""
    if not held.functions and held.schema is None:
        return None
    rules = Rules()
    start, channel, message = map(rules.marker, ("<|start|>", "<|channel|>", "<|message|>"))
    kind = f'(GAP {rules.marker("<|constrain|>")} GAP "json" | " json")?'
    channel = f"{channel} GAP"
    free = held.schema is None and not held.required
    notice = ' | "commentary"' if free else ""
    opened = f'GAP {channel} ("analysis"{notice}) {message}'
    apart = rules.without("<|start|>", "<|channel|>", *(end for end in ENDS if end != _END))
    until_end = rules.until(_END, apart)
    thought = rules.rule("thought", f"{opened} {until_end}")
    final = rules.rule("final", f'GAP ({channel} "final" {kind})? {message}')
    next_one = rules.rule("next", f'GAP {start} GAP "assistant"')
    call_end = f"({rules.marker(_END)} | {rules.marker('<|call|>')})"
    calls = [
        f"{_header(rules, one)} {kind} {message} SPACE {arguments(rules, one)}" for one in held.functions
    ]
    call = rules.any_of("call", calls) if calls else ""

    before, goals = [thought], []
    if held.schema is not None and not held.required:
        goals.append(f"{final} {content(rules, held.schema)}")
    if call:
        goals.append(f"{call} ({call_end})?" if held.parallel else call)
        if held.parallel:
            before.append(f"{call} {call_end}")
    if free:
        goals += [f"{final} {apart}", f"{opened} {apart}", thought]
        before.append(f"{final} {until_end}")
    messages = rules.rule("messages", f"(({' | '.join(before)}) {next_one})* ({' | '.join(goals)})")

    header, begun, body = last_message(held.asked.prompt)
    if begun and not any(end in body for end in ENDS):
        ended = f"{until_end} {next_one} {messages}"
        if "<|channel|>analysis" in header or "to=" in header or held.required:
            return rules.grammar(ended if held.schema is not None or held.required else f"{ended} | {apart}")
        if held.schema is not None:
            return rules.grammar(content(rules, held.schema))
        return rules.grammar(f"{ended} | {apart}")
    if header.strip() == "assistant":
        return rules.grammar(messages)
    return rules.grammar(f'({start} "assistant")? {messages}')


def _header(rules: Rules, function: Function) -> str:
    """The recipient, before the channel or behind it."""
    channel = f'{rules.marker("<|channel|>")} GAP ("commentary" | "analysis")'
    to = f'GAP "to=" ("functions.")? {literal(shown_name(function.name))}'
    return f"GAP ({channel} {to} | {to} {channel})"
