"""Hunyuan, Jamba, Apriel, Nemotron Nano 2, Phi-4-mini, InternLM, GigaChat, Apertus: JSON behind a marker."""

from __future__ import annotations

from puna.chat.grammars.answer import Calls, Notation
from puna.chat.grammars.objects import arguments, call, listed
from puna.chat.grammars.rules import Rules, in_json
from puna.chat.grammars.schemas import Function
from puna.chat.parsing.families import apertus as in_apertus
from puna.chat.parsing.families import gigachat as in_gigachat
from puna.chat.parsing.families import hunyuan as in_hunyuan
from puna.chat.parsing.families import internlm as in_internlm
from puna.chat.parsing.families import nemotron_v2 as in_nemotron
from puna.chat.parsing.families import phi4 as in_phi4


def _list(open: str, close: str) -> Notation:
    """A list between two tags."""

    def calls(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
        body = listed(call(rules, functions), parallel=parallel)
        return Calls({open: f"SPACE {body} SPACE {rules.marker(close)}"})

    return calls


hunyuan = _list(in_hunyuan.OPEN, in_hunyuan.CLOSE)
nemotron_v2 = _list(in_nemotron.OPEN, in_nemotron.CLOSE)


def phi4(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    one = call(rules, functions)
    more = f' (SPACE "," SPACE {one})*' if parallel else ""
    many = f'SPACE {one}{more} SPACE "]"'
    tagged = f'SPACE ({one} | "[" {many}) (SPACE {rules.marker(in_phi4.CLOSE)})?'
    # The word alone may be one of the text.
    return Calls({"functools[": many, in_phi4.OPEN: tagged})


def internlm(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    one = call(rules, functions, keys=("parameters", "arguments"))
    plugin, close = rules.marker(in_internlm.PLUGIN), rules.marker(in_internlm.CLOSE)
    return Calls({in_internlm.OPEN: f"GAP {plugin} GAP {one} GAP {close}"})


def gigachat(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    return Calls({in_gigachat.OPEN: f"SPACE {call(rules, functions)}"})


def apertus(rules: Rules, functions: list[Function], parallel: bool) -> Calls:
    objects = [
        f'"{{" SPACE {in_json(one.name)} SPACE ":" SPACE {arguments(rules, one)} SPACE "}}"'
        for one in functions
    ]
    body = listed(rules.any_of("call", objects), parallel=parallel)
    return Calls({in_apertus.OPEN: f"SPACE {body} SPACE {rules.marker(in_apertus.CLOSE)}"})
