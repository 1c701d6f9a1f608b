"""FunctionGemma and Gemma 4: `call:name{key:value,…}`."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls, Notation
from puna.chat.grammars.rules import Rules, literal, literals
from puna.chat.grammars.schemas import Function, Schema
from puna.chat.grammars.structured import Style, Values
from puna.chat.grammars.texts import conditions


def _notation(open: str, close: str, quote: str) -> Notation:
    def string(rules: Rules, schema: Schema) -> str:
        # The closing tag ends a call, also within a string.
        held = [*conditions(schema), f"~(ANY {literals([quote, close])} ANY)"]
        inner = rules.terminal("STRING", " & ".join(["ANY", *held]))
        return f"{rules.marker(quote)} {rules.until(quote, inner)}"

    def constant(rules: Rules, text: str) -> str:
        return (
            f"{rules.marker(quote)} {literal(text)} {rules.marker(quote)}"
            if text
            else f"{rules.marker(quote)} {rules.marker(quote)}"
        )

    words = {word: literal(word) for word in ("true", "false", "null")}
    key = r"[^\s:\"'<>{}\[\],](?:[^:\"'<>{}\[\],\n]*[^\s:\"'<>{}\[\],])?"
    style = Style(string=string, constant=constant, keys=lambda name: (name,), writable=key, words=words)

    def calls(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
        bodies = [
            f"{literal(f'call:{function.name}')} {Values(rules, function, style).object()}"
            for function in functions
        ]
        return Calls({open: f"{rules.any_of('function', bodies)} {rules.marker(close)}"})

    return calls


functiongemma = _notation("<start_function_call>", "<end_function_call>", "<escape>")
gemma4 = _notation("<|tool_call>", "<tool_call|>", '<|"|>')
