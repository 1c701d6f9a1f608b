"""Apriel 1.5 and 1.6: `<tool_calls>[{"name": …, "arguments": {…}}, …]</tool_calls>`, as Hunyuan writes them.

Reasoning ends at `[BEGIN FINAL RESPONSE]`. Version 1.6 begins it in the prompt.

Sources: the chat templates of ServiceNow-AI's models; llama.cpp tests/test-chat.cpp.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars.objects import list_between
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.calls import bare_objects, json_calls
from puna.chat.parsing.lenient import LENIENT

from .hunyuan import CLOSE, OPEN

_ANSWER, _ANSWER_END = "[BEGIN FINAL RESPONSE]", "[END FINAL RESPONSE]"

_FORMAT = Tagged(
    tags=ThinkingTags("Here are my reasoning steps:", _ANSWER),
    calls={OPEN: json_calls(CLOSE)},
    bare=bare_objects,
    lenient=LENIENT,
    dropped=(_ANSWER_END,),
    spaced=True,
    special=frozenset({OPEN, CLOSE, _ANSWER, _ANSWER_END}),
)

FAMILY = Family(
    variants=(Variant("apriel", tools=True, thinks=True),),
    evidence=(Evidence((_ANSWER,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, list_between(OPEN, CLOSE), names.IN_JSON),
)
