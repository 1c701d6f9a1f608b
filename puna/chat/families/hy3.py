"""Hy3: `<tool_call:opensource>f<tool_sep:opensource>`, then GLM's keys and values with the same suffix.

All calls are within `<tool_calls:opensource>…</tool_calls:opensource>`.

Sources: the chat template of tencent/Hy3; vLLM's hy_v3 tool parser.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.keyed import keyed_call
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.calls import after
from puna.chat.parsing.keyed import Keyed


def keyed_family(name: str, tags: Keyed, evidence: tuple[Evidence, ...]) -> Family:
    """The family whose calls have these tags, within those of `<tool_calls>`."""
    suffix = tags.suffix
    calls, calls_end = f"<tool_calls{suffix}>", f"</tool_calls{suffix}>"
    thinking = ThinkingTags(f"<think{suffix}>", f"</think{suffix}>", calls_end_it=True)
    call = tags.calls()

    def read(source: Scanner, tools: Tools) -> Step[None]:
        another = tags.open
        while another:
            yield from call(source, tools)
            yield from source.blank()
            another = yield from source.choice(tags.open)
        yield from source.closer(calls_end)

    def notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
        begin, end = rules.marker(tags.open), rules.marker(calls_end)
        one = f"GAP {keyed_call(rules, functions, tags)}"
        several = f"{one} (GAP {begin} {one})*" if parallel else one
        return Calls({calls: f"GAP {begin} {several} GAP {end}", tags.open: f"{several} (GAP {end})?"})

    format = Tagged(
        tags=thinking,
        calls={calls: after(tags.open, read), tags.open: read},
        special=tags.special | {calls, calls_end, thinking.open, thinking.close},
    )
    return Family(
        variants=(Variant(name, tools=True, thinks=True),),
        evidence=evidence,
        format=format,
        constrain=after_markers(format, notation, names.IDENTIFIER),
    )


_SUFFIX = ":opensource"

FAMILY = keyed_family(
    "hy3",
    Keyed(suffix=_SUFFIX, separated=True),
    (Evidence((f"'{_SUFFIX}'", "<tool_sep{}>")), Evidence((f"<tool_sep{_SUFFIX}>",))),
)
