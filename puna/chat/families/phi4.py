"""Phi-4-mini and FireFunction: `functools[{"name": …, "arguments": {…}}]`, or a list in `<|tool_call|>`.

Sources: the chat templates of microsoft's Phi-4-mini and Fireworks' FireFunction; vLLM's phi4mini tool
parser.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import call
from puna.chat.parsing import Malformed, Scanner, Step, Tagged, Tools
from puna.chat.parsing.calls import bare_objects, json_calls, objects
from puna.chat.parsing.lenient import LENIENT

OPEN, CLOSE = "<|tool_call|>", "<|/tool_call|>"


def _list(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    if (yield from source.ahead()) != "[":
        raise Malformed
    yield from objects(source)


_FORMAT = Tagged(
    calls={"functools": _list, OPEN: json_calls(CLOSE)},
    bare=bare_objects,
    lenient=LENIENT,
    special=frozenset({OPEN, CLOSE}),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    one = call(rules, functions)
    more = f' (SPACE "," SPACE {one})*' if parallel else ""
    many = f'SPACE {one}{more} SPACE "]"'
    tagged = f'SPACE ({one} | "[" {many}) (SPACE {rules.marker(CLOSE)})?'
    # The bare word may also occur in text.
    return Calls({"functools[": many, OPEN: tagged})


FAMILY = Family(
    variants=(Variant("phi4-mini", tools=True),),
    evidence=(Evidence(("functools",)), Evidence(("<|/tool|>",))),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.IN_JSON),
)
