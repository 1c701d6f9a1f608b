"""PLaMo 3: calls between `<|plamo:begin_…:plamo|>` and `<|plamo:end_…:plamo|>`, with JSON arguments.

Such a tag consists of several tokens, so no grammar constrains calls.

Sources: vLLM's plamo3 tool and reasoning parsers.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers
from puna.chat.parsing import Scanner, Step, Tagged, ThinkingTags, Tools
from puna.chat.parsing.values import json_object

_BEGIN, _END, _SHUT = "<|plamo:begin_", "<|plamo:end_", ":plamo|>"
_FORMAT_OF_VALUE, _MESSAGE = "<|plamo:constrain|>", "<|plamo:msg|>"


def _tags(name: str) -> tuple[str, str]:
    return f"{_BEGIN}{name}{_SHUT}", f"{_END}{name}{_SHUT}"


_CALLS, _CALLS_END = _tags("tool_requests")
_CALL, _CALL_END = _tags("tool_request")
_NAME, _NAME_END = _tags("tool_name")
_ARGUMENTS, _ARGUMENTS_END = _tags("tool_arguments")


def _calls(source: Scanner, tools: Tools) -> Step[None]:
    yield from source.blank()
    yield from source.expect(_CALL)
    another = _CALL
    while another:
        yield from source.blank()
        yield from source.expect(_NAME)
        name = yield from source.word(r"\w.\-:/")
        yield from source.expect(_NAME_END)
        yield from source.blank()
        yield from source.expect(_ARGUMENTS)
        if (yield from source.choice(_FORMAT_OF_VALUE)):
            yield from source.expect(f"json{_MESSAGE}")
        yield from source.blank()
        source.called(name, json_object((yield from source.bracketed())))
        yield from source.closer(_ARGUMENTS_END)
        yield from source.closer(_CALL_END)
        yield from source.blank()
        another = yield from source.choice(_CALL)
    yield from source.closer(_CALLS_END)


_FORMAT = Tagged(
    tags=ThinkingTags(*_tags("think")),
    calls={_CALLS: _calls},
    special=frozenset({_BEGIN, _END, _SHUT, _FORMAT_OF_VALUE, _MESSAGE}),
)

FAMILY = Family(
    variants=(Variant("plamo3", tools=True, thinks=True),),
    evidence=(Evidence((_BEGIN, _SHUT)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT),
)
