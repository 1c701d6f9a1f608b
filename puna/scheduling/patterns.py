"""Tries patterns of tensor names in a one-shot process: some take hours, and would stall the server."""

from __future__ import annotations

import asyncio
import re
import sys
from contextlib import suppress

import msgspec

from puna.engine import run_once
from puna.options import Options
from puna.scheduling.choice import bad_option, rule
from puna.scheduling.facts import Facts, RunnerKey

_MODULE = "puna.scheduling.patterns"

_PATIENCE = 10.0
"""Seconds, which start the process too."""


class Patterns:
    """Those of `override_tensor`, tried once for each model."""

    def __init__(self) -> None:
        self._tried: dict[RunnerKey, tuple[str, ...]] = {}

    async def check(self, options: Options, facts: Facts) -> None:
        """Raises BadRequest for patterns that take too long on the model's tensors."""
        rules = options.override_tensor
        if not (rules and facts.tensors) or self._tried.get(facts.key) == rules:
            return
        request = [rule(text)[0] for text in rules], [tensor.name for tensor in facts.tensors]
        try:
            await run_once(_MODULE, msgspec.json.encode(request), patience=_PATIENCE)
        except asyncio.TimeoutError:
            raise bad_option("override_tensor", "matching its patterns takes too long") from None
        self._tried[facts.key] = rules


def main() -> None:
    """Run as `python -m puna.scheduling.patterns`: reads patterns and names, and searches all of them."""
    patterns, names = msgspec.json.decode(sys.stdin.buffer.read(), type=tuple[list[str], list[str]])
    for pattern in patterns:
        # Others are refused by name (`choice.check_options`).
        with suppress(re.error, OverflowError, RecursionError):
            for name in names:
                re.search(pattern, name)


if __name__ == "__main__":
    main()
