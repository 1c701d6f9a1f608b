"""Solar Open: `<|tool_call:begin|>id<|tool_call:name|>f<|tool_call:args|>{…}<|tool_call:end|>` for each call.

Reasoning, text and calls are messages: `<|begin|>assistant`, then `<|think|>`, `<|content|>` or
`<|tool_calls|>`. They end with `<|end|>`, the answer's last one with `<|flush|>` or `<|calls|>`. The prompt
ends with the first `<|begin|>assistant`.

Source: the chat template of upstage/Solar-Open-100B.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import Calls, Rules, ToolFunction, after_markers, names
from puna.chat.grammars.objects import arguments
from puna.chat.grammars.rules import literal
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.values import json_object

_BEGIN, _THINK, _CONTENT = "<|begin|>", "<|think|>", "<|content|>"
_END, _FLUSH = "<|end|>", "<|flush|>"
_CALLS, _CALLS_END = "<|tool_calls|>", "<|calls|>"
_CALL, _NAME, _ARGUMENTS, _CALL_END = (f"<|tool_call:{part}|>" for part in ("begin", "name", "args", "end"))


def _calls(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect(_CALL)
    another = _CALL
    while another:
        yield from source.run(r"\w\-")
        yield from source.expect(_NAME)
        name = yield from source.word(r"\w.\-:/")
        yield from source.expect(_ARGUMENTS)
        yield from source.blank()
        source.called(name, json_object((yield from source.bracketed())))
        yield from source.closer(_CALL_END)
        yield from source.blank()
        another = yield from source.choice(_CALL)
    yield from source.closer(_CALLS_END)


_FORMAT = Tagged(
    tags=ThinkingTags(_THINK, _END),
    calls={_CALLS: _calls},
    dropped=(f"{_BEGIN}assistant", _CONTENT, _END, _FLUSH),
    special=frozenset(
        {_BEGIN, _THINK, _CONTENT, _END, _FLUSH, _CALLS, _CALLS_END, _CALL, _NAME, _ARGUMENTS, _CALL_END}
    ),
)


def _notation(rules: Rules, functions: list[ToolFunction], parallel: bool) -> Calls:
    name, given, end = map(rules.marker, (_NAME, _ARGUMENTS, _CALL_END))
    bodies = [f"{literal(one.name)} {given} SPACE {arguments(rules, one)}" for one in functions]
    call = f"{rules.marker(_CALL)} /[A-Za-z0-9_-]{{1,32}}/ {name} {rules.any_of('function', bodies)} {end}"
    several = f"{call} (GAP {call})*" if parallel else call
    return Calls({_CALLS: f"GAP {several} (GAP {rules.marker(_CALLS_END)})?"})


FAMILY = Family(
    variants=(Variant("solar-open", tools=True, thinks=True),),
    evidence=(Evidence((_CALLS, _NAME)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, _notation, names.PATH),
)
