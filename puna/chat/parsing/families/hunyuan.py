"""Hunyuan A13B, Jamba and Apriel: `<tool_calls>[{"name": …, "arguments": {…}}, …]</tool_calls>`.

Hunyuan's answer is in `<answer>`.

Sources: the chat templates of tencent's, ai21labs' and ServiceNow-AI's models; vLLM's hunyuan_a13b and jamba
tool parsers.
"""

from __future__ import annotations

from puna.chat.parsing.calls import bare_objects, json_calls
from puna.chat.parsing.slips import SLIPS
from puna.chat.parsing.tagged import Tagged, Tags

OPEN, CLOSE = "<tool_calls>", "</tool_calls>"

HUNYUAN = Tagged(
    tags=Tags("<think>", "</think>"),
    calls={OPEN: json_calls(CLOSE)},
    bare=bare_objects,
    slips=SLIPS,
    dropped=("<answer>", "</answer>"),
    spaced=True,
    special=frozenset({OPEN, CLOSE, "<think>", "</think>", "<answer>", "</answer>"}),
)
