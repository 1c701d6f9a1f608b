"""FunctionGemma: `<start_function_call>call:f{k:v,…}<end_function_call>`.

Sources: Ollama model/parsers/functiongemma.go; Google's FunctionGemma prompt page.
"""

from __future__ import annotations

from puna.chat.family import Evidence, Family, Variant
from puna.chat.grammars import after_markers, names
from puna.chat.grammars import gemma_calls as written
from puna.chat.parsing import Tagged
from puna.chat.parsing.gemma_calls import gemma_calls, unmarked_calls
from puna.chat.renderers import Renderer
from puna.chat.renderers.functiongemma import functiongemma

_OPEN, _CLOSE, _QUOTE = "<start_function_call>", "<end_function_call>", "<escape>"

_FORMAT = Tagged(
    calls={_OPEN: gemma_calls(_CLOSE, _QUOTE)},
    lenient={"call:": unmarked_calls(_CLOSE, _QUOTE)},
    special=frozenset({_OPEN, _CLOSE, _QUOTE}),
)

FAMILY = Family(
    variants=(Variant("functiongemma", tools=True, renderer=Renderer(functiongemma, "tools")),),
    evidence=(Evidence((_OPEN,)),),
    format=_FORMAT,
    constrain=after_markers(_FORMAT, written.gemma_calls(_OPEN, _CLOSE, _QUOTE), names.IN_TAGS),
)
