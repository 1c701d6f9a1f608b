"""One request's way through the rooms, a line each in the log of `OLLAMA_DEBUG=1`."""

from __future__ import annotations

import itertools
import logging
from time import perf_counter

from puna.inference.requests import Summary

_log = logging.getLogger(__name__)
_numbers = itertools.count(1)


class Trace:
    """Lines of one request, with its number and the seconds since it came."""

    def __init__(self, model: str) -> None:
        self._number = next(_numbers)
        self._began = perf_counter()
        self._line("asked of %s", model)

    def leased(self, load_ns: int, prompt: str, images: int) -> None:
        """The model is in memory and the prompt is made."""
        loaded = f"loaded in {load_ns / 1e9:.2f} s" if load_ns else "was loaded"
        self._line("model %s; prompt of %d characters, %d pictures or sounds", loaded, len(prompt), images)

    def begun(self) -> None:
        """The answer's first token has come."""
        self._line("first token")

    def ended(self, summary: Summary) -> None:
        """The answer is complete."""
        self._line(
            "ended (%s): prompt of %d tokens, %d of them known, evaluated in %.3f s; %d tokens in %.3f s, "
            "%d of %d drafted ones accepted",
            summary.reason,
            summary.prompt_tokens,
            summary.cached_tokens,
            summary.prompt_ns / 1e9,
            summary.eval_tokens,
            summary.eval_ns / 1e9,
            summary.accepted,
            summary.drafted,
        )

    def _line(self, text: str, *values: object) -> None:
        _log.debug("answer %d +%.3f s: " + text, self._number, perf_counter() - self._began, *values)
