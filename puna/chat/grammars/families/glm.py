"""GLM and Laguna: the function's name, then keys and values in tags."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls
from puna.chat.grammars.enclosed import Keyed
from puna.chat.grammars.rules import Rules, literal
from puna.chat.grammars.schemas import Function
from puna.chat.grammars.texts import Texts

_END = "</tool_call>"


def glm(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    enclosed = Keyed(
        rules,
        ("<arg_key>", "</arg_key>"),
        ("<arg_value>", "</arg_value>"),
        _END,
        writable=r"[^<>\s](?:[^<>\n]*[^<>\s])?",
    )
    bodies = [f"{literal(one.name)} {Texts(rules, one, enclosed, _END).call()}" for one in functions]
    return Calls({"<tool_call>": f"GAP {rules.any_of('function', bodies)}"} if bodies else {})
