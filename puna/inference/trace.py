"""Debug lines of one request (`OLLAMA_DEBUG=1`)."""

from __future__ import annotations

import itertools
import logging
from time import perf_counter

from puna.inference.requests import Summary
from puna.types import Begun

_log = logging.getLogger(__name__)
_numbers = itertools.count(1)


class Trace:
    """Lines of one request, with its number and the seconds since it came."""

    def __init__(self, model: str) -> None:
        self._number = next(_numbers)
        self._began = perf_counter()
        self._line("requested of %s", model)

    def leased(self, load_ns: int, prompt: str, images: int) -> None:
        """The model is in memory and the prompt is made."""
        loading = load_ns / 1e9
        self._line(
            "model is ready, %.3f s of that loading; prompt of %d characters, %d pictures or sounds",
            loading,
            len(prompt),
            images,
        )

    def known(self, begun: Begun) -> None:
        """The engine has the prompt."""
        self._line("prompt of %d tokens, %d of them cached", begun.prompt_tokens, begun.cached_tokens)

    def spoke(self) -> None:
        """The answer's first token has come."""
        self._line("first token")

    def ended(self, summary: Summary) -> None:
        """The answer is complete."""
        self._line(
            "ended by %s: prompt evaluated in %.3f s; %d tokens in %.3f s, %d of %d drafted ones accepted",
            summary.reason,
            summary.prompt_ns / 1e9,
            summary.eval_tokens,
            summary.eval_ns / 1e9,
            summary.accepted,
            summary.drafted,
        )

    def _line(self, text: str, *values: object) -> None:
        _log.debug("answer %d +%.3f s: " + text, self._number, perf_counter() - self._began, *values)
