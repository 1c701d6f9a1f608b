"""dots 3: MiniMax-M2's calls in `<dots_function_call>`.

Sources: vLLM's and SGLang's dots tool parsers.
"""

from __future__ import annotations

from .minimax_m2 import invoking_family

FAMILY = invoking_family("dots", "<dots_function_call>", "</dots_function_call>")
