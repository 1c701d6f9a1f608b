"""LFM2, OLMo 3 and Llama 4: calls as Python writes them."""

from __future__ import annotations

import json
import re

from puna.chat.grammars import objects
from puna.chat.grammars.answer import Calls
from puna.chat.grammars.rules import Rules, in_json, literal
from puna.chat.grammars.schemas import Function, Schema
from puna.chat.grammars.structured import Style, Values

_QUOTED = r"/'([^'\\\x00-\x1f\x7f]|\\[\\'\"nrt])*'/"
_LIMITS = ("minLength", "maxLength", "pattern", "format")


def lfm2(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    call = _call(rules, functions)
    body = f'GAP "[" GAP {call} {f"""(GAP "," GAP {call})* """ if parallel else ""}GAP "]" GAP'
    return Calls({"<|tool_call_start|>": f"{body} {rules.marker('<|tool_call_end|>')}"})


def olmo3(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    call = _call(rules, functions)
    body = f"GAP {call}{f' (GAP {call})*' if parallel else ''} GAP"
    return Calls({"<function_calls>": f"{body} {rules.marker('</function_calls>')}"})


def llama4(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    call = _call(rules, functions)
    more = f' (GAP "," GAP {call})*' if parallel else ""
    end = f'{more} GAP "]"'
    one = objects.call(rules, functions, keys=("parameters", "arguments"))
    marked = rules.any_of("calls", [f'"[" GAP {call}{end}', one])
    heads = [
        rules.head('BLANK "[" GAP ' + literal(f"{one.name}(")) + " " + _closed(rules, one)
        for one in functions
    ]
    bare = rules.any_of("listed", heads)
    return Calls(
        {"<|python_start|>": f"GAP {marked} (GAP {rules.marker('<|python_end|>')})?"},
        rules.any_of("bare", [f"{bare}{end}", objects.bare(rules, functions, parallel=parallel)]),
        rules.any_of(
            "alone", [f'GAP "[" GAP {call}{end}', objects.alone(rules, functions, parallel=parallel)]
        ),
    )


def keywords(rules: Rules, function: Function) -> str:
    """`(key=value, …)`."""
    return f'"(" {_closed(rules, function)}'


def _closed(rules: Rules, function: Function) -> str:
    """The same from behind the bracket."""
    values = Values(rules, function, _PYTHON).keywords('"="', writable=r"""[^][(){},:=\s"']+""")
    return f'{values} ")"'


def _call(rules: Rules, functions: list[Function]) -> str:
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
