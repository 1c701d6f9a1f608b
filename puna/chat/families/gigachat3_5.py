"""GigaChat 3.5: DeepSeek V4's calls, with `｜GCML｜` in their tags. No grammar constrains them.

Sources: the chat template of ai-sage's GigaChat 3.5; vLLM's gigachat35 tool parser.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.invoked import invocations

_PREFIX = "｜GCML｜"
_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
    calls={f"<{_PREFIX}tool_calls>": invocations(f"</{_PREFIX}tool_calls>", _PREFIX)},
    special=frozenset({_PREFIX, "<think>", "</think>"}),
)

FAMILY = Family(
    variants=(Variant("gigachat3.5", tools=True, thinks=True),),
    evidence=(Evidence((_PREFIX,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT),
)
