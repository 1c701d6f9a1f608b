"""ChatML: turns between `<|im_start|>` and `<|im_end|>` (OpenAI's chatml.md), as in many families."""

from __future__ import annotations

from collections.abc import Iterable

START = "<|im_start|>"
END = "<|im_end|>\n"
ANSWER = "<|im_start|>assistant\n"


def turn(role: str, text: str) -> str:
    """One whole turn, with its end."""
    return f"{START}{role}\n{text}{END}"


def tool_responses(texts: Iterable[str]) -> str:
    """Tools' answers in Qwen's form: one turn of the user."""
    answers = "".join(f"\n<tool_response>\n{text}\n</tool_response>" for text in texts)
    return f"{START}user{answers}{END}"
