"""The summary that `--verbose` prints after an answer (Ollama api/types.go, Metrics.Summary)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from puna.human import go_duration

if TYPE_CHECKING:
    from ollama import ChatResponse, GenerateResponse


def summary(last: ChatResponse | GenerateResponse) -> str:
    """A line for each figure in an answer's last message. Omits zero and missing figures."""
    rows: list[tuple[str, str]] = []
    if last.total_duration:
        rows.append(("total duration", go_duration(last.total_duration)))
    if last.load_duration:
        rows.append(("load duration", go_duration(last.load_duration)))
    for name, count, duration in (
        ("prompt eval", last.prompt_eval_count or 0, last.prompt_eval_duration),
        ("eval", last.eval_count or 0, last.eval_duration),
    ):
        if count:
            rows.append((f"{name} count", f"{count} token(s)"))
        if duration:
            rows.append((f"{name} duration", go_duration(duration)))
            rows.append((f"{name} rate", f"{count / duration * 1e9:.2f} tokens/s"))
    return "\n".join(f"{label + ':':21} {text}" for label, text in rows)
