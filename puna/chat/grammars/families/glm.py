"""GLM and Laguna: the function's name, then keys and values in tags."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function
from puna.chat.grammars.texts import Texts

_KEY, _KEY_END, _VALUE, _VALUE_END = "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"
_END = "</tool_call>"


def glm(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    bodies = [f"{literal(function.name)} {_arguments(rules, function)}" for function in functions]
    if not bodies:
        return Calls({})
    return Calls({"<tool_call>": f"GAP {rules.any_of('function', bodies)} GAP {rules.marker(_END)}"})


def _arguments(rules: Rules, function: Function) -> str:
    texts = Texts(rules, function, close=_VALUE_END, apart=(_KEY, _KEY_END, _VALUE, _END))

    def written(name: str, value: str) -> str:
        key = f"{rules.marker(_KEY)} {literal(name)} {rules.marker(_KEY_END)}"
        return f"GAP {key} GAP {rules.marker(_VALUE)} {value}"

    return texts.parameters(written, writable=r"[^<>\s](?:[^<>\n]*[^<>\s])?")
