"""Calls in Python's syntax."""

from __future__ import annotations

import json

from puna.chat.schema import Schema

from .functions import ToolFunction
from .objects import ESCAPED
from .rules import Rules, in_json, literal
from .structured import Keys, Values, ValueSyntax
from .texts import conditions

_CONTROL = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f"
_ESCAPE = rf"\\([^ux\n{_CONTROL}]|{ESCAPED})"
_STRINGS = " | ".join(
    rf"/{quote}([^{quote}\\{_CONTROL}]|{_ESCAPE}|{quote}+\s*[^{quote}\\\s,:)\]}}{_CONTROL}])*{quote}+/"
    for quote in ('"', "'")
)
"""Models write line breaks and quotes without escapes; a quote only where the parser sees no string's end."""

_LIMITS = ("minLength", "maxLength", "pattern", "format")


def keywords(rules: Rules, function: ToolFunction) -> str:
    """`(key=value, …)`."""
    return f'"(" {closed_keywords(rules, function)}'


def closed_keywords(rules: Rules, function: ToolFunction) -> str:
    """`keywords` after the opening bracket."""
    values = Values(rules, function, _PYTHON).keywords('"="', _NAMES)
    return f'{values} ")"'


def python_call(rules: Rules, functions: list[ToolFunction]) -> str:
    """One call of one of the functions."""
    return rules.any_of("function", [f"{literal(one.name)} {keywords(rules, one)}" for one in functions])


def _string(rules: Rules, schema: Schema) -> str:
    limited = {key: schema[key] for key in _LIMITS if key in schema}
    if not limited:
        return f"({_STRINGS})"
    text = rules.json("tools", {"type": "string", **limited}, lenient=True)
    if "format" in limited:
        return text
    inner = rules.terminal("INNER", " & ".join([r"/[^'\\\x00-\x1f\x7f]*/", *conditions(schema)]))
    quoted = rules.terminal("QUOTED", f'"\'" {inner} "\'"')
    return f"({text} | {quoted})"


def _constant(rules: Rules, text: str) -> str:
    if text.isprintable() and "'" not in text:
        return f"({in_json(text)} | {literal(repr(text))})"
    return in_json(text)


_NAMES = Keys(lambda name: (name,), r"""[^][(){},:=\s"']+""", lambda rules, schema: "WORD")
_PYTHON = ValueSyntax(
    string=_string,
    constant=_constant,
    keys=Keys(lambda name: (json.dumps(name, ensure_ascii=False), repr(name)), r"(?s:.)*", _string),
    words={"true": '("True" | "true")', "false": '("False" | "false")', "null": '("None" | "null")'},
    space="SPACE",
)
