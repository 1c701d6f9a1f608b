"""Gemma's calls: `call:name{key:value,…}`."""

from __future__ import annotations

from puna.chat.schema import Schema

from .answer import Calls, Notation
from .functions import ToolFunction
from .rules import Rules, literal, literals
from .structured import Keys, Values, ValueSyntax
from .texts import conditions


def gemma_calls(open: str, close: str, quote: str) -> Notation:
    """Calls between two tags; `quote` encloses strings."""

    def string(rules: Rules, schema: Schema) -> str:
        # The closing tag ends a call even within a string.
        limits = [*conditions(schema), f"~(ANY {literals([quote, close])} ANY)"]
        inner = rules.terminal("STRING", " & ".join(["ANY", *limits]))
        return f"{rules.marker(quote)} {rules.until(quote, inner)}"

    def constant(rules: Rules, text: str) -> str:
        return (
            f"{rules.marker(quote)} {literal(text)} {rules.marker(quote)}"
            if text
            else f"{rules.marker(quote)} {rules.marker(quote)}"
        )

    # The templates print nothing within lists as Python does.
    words = {"true": literal("true"), "false": literal("false"), "null": literals(["null", "None"])}
    key = r"[^\s:\"'<>{}\[\],](?:[^:\"'<>{}\[\],\n]*[^\s:\"'<>{}\[\],])?"

    def free(rules: Rules, schema: Schema) -> str:
        bare = rules.terminal("KEY", " & ".join([f"/{key}/", *conditions(schema)]))
        return f"({bare} | {string(rules, schema)})"

    keys = Keys(lambda name: (name,), key, free)
    syntax = ValueSyntax(string=string, constant=constant, keys=keys, words=words)

    def calls(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
        bodies = [
            f"{literal(f'call:{function.name}')} {Values(rules, function, syntax).object()}"
            for function in functions
        ]
        return Calls({open: f"{rules.any_of('function', bodies)} {rules.marker(close)}"})

    return calls
