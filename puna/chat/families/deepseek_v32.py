"""DeepSeek V3.2 and V4: `<｜DSML｜invoke name="f"><｜DSML｜parameter name="k" string="true">v</…></…>`.

All calls are within `<｜DSML｜function_calls>`, in V4 `<｜DSML｜tool_calls>`. No grammar constrains
them, because in the tags `｜DSML｜` is a separate token.

Sources: deepseek-ai's encoding of V3.2's messages; vLLM's deepseekv32 tool parser; llama.cpp
tests/test-chat.cpp.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers
from puna.chat.parsing import Tagged, ThinkingTags
from puna.chat.parsing.invoked import invocations

_PREFIX = "｜DSML｜"

_FORMAT = Tagged(
    tags=ThinkingTags("<think>", "</think>", calls_end_it=True),
    calls={
        f"<{_PREFIX}{outer}>": invocations(f"</{_PREFIX}{outer}>", _PREFIX)
        for outer in ("function_calls", "tool_calls")
    },
    special=frozenset({_PREFIX, "<think>", "</think>"}),
)


FAMILY = Family(
    variants=(Variant("deepseek3.2", tools=True, thinks=True),),
    evidence=(Evidence((_PREFIX,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT),
)
