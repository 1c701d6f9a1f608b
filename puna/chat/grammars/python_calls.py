"""Calls as Python writes them."""

from __future__ import annotations

import json
import re

from puna.chat.schema import Schema

from .functions import ToolFunction
from .rules import Rules, in_json, literal
from .structured import Style, Values

_QUOTED = r"/'([^'\\\x00-\x1f\x7f]|\\[\\'\"nrt])*'/"
_LIMITS = ("minLength", "maxLength", "pattern", "format")


def keywords(rules: Rules, function: ToolFunction) -> str:
    """`(key=value, …)`."""
    return f'"(" {closed_keywords(rules, function)}'


def closed_keywords(rules: Rules, function: ToolFunction) -> str:
    """The same from behind the bracket."""
    values = Values(rules, function, _PYTHON).keywords('"="', writable=r"""[^][(){},:=\s"']+""")
    return f'{values} ")"'


def python_call(rules: Rules, functions: list[ToolFunction]) -> str:
    """One call of one of the functions."""
    return rules.any_of("function", [f"{literal(one.name)} {keywords(rules, one)}" for one in functions])


def _string(rules: Rules, schema: Schema) -> str:
    limited = {key: schema[key] for key in _LIMITS if key in schema}
    text = rules.json("tools", {"type": "string", **limited}, lenient=True)
    return text if limited else f"({text} | {_QUOTED})"


def _constant(rules: Rules, text: str) -> str:
    if re.fullmatch(r"[^'\"\\\x00-\x1f\x7f]*", text):
        return f"({in_json(text)} | {literal(repr(text))})"
    return in_json(text)


_PYTHON = Style(
    string=_string,
    constant=_constant,
    keys=lambda name: (json.dumps(name, ensure_ascii=False), repr(name)),
    writable=r"(?s:.)*",
    words={"true": '("True" | "true")', "false": '("False" | "false")', "null": '("None" | "null")'},
    space="SPACE",
)
