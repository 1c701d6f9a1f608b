"""OLMo 3: `<function_calls>` and on each line a call as Python writes it, `f(k="v")`.

The prompts of its thinking models open `<think>`.

Sources: Ollama model/parsers/olmo3.go and olmo3_think.go; the chat templates of allenai's models.
"""

from __future__ import annotations

from puna.chat.parsing.calls import python_calls
from puna.chat.parsing.tagged import Tagged, Tags

OLMO3 = Tagged(
    tags=Tags("<think>", "</think>"),
    calls={"<function_calls>": python_calls("</function_calls>")},
    special=frozenset({"<function_calls>", "</function_calls>", "<think>", "</think>"}),
)
