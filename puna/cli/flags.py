"""Flags as Ollama reads them, with the Go library pflag: `--verbose=false`, `-f=Modelfile`, `--think`."""

from __future__ import annotations

import re
from typing import Any

from typer.core import TyperCommand

from puna.cli.connection import CommandFailed

_ASSIGNED = re.compile(r"(?P<flag>--?[a-z][a-z-]*)=(?P<value>.*)", re.DOTALL)
_TRUE, _FALSE = ("1", "t", "T", "true", "TRUE", "True"), ("0", "f", "F", "false", "FALSE", "False")
_BARE = ("--think", "--truncate")
"""Flags whose value is optional and follows "="; without one they are true. So the prompt may follow them."""


class FlagCommand(TyperCommand):
    """A command that also takes its flags in pflag's forms."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        words = args[: args.index("--")] if "--" in args else args
        return super().parse_args(
            ctx, [form for word in words for form in self._forms(word)] + args[len(words) :]
        )

    def _forms(self, word: str) -> list[str]:
        """`word` as typer takes it."""
        if word in _BARE:
            return [f"{word}=true"]
        assigned = _ASSIGNED.fullmatch(word)
        if assigned is None:
            return [word]
        flag, value = assigned["flag"], assigned["value"]
        if any(flag in param.opts and getattr(param, "is_flag", False) for param in self.params):
            if value not in _TRUE + _FALSE:
                raise CommandFailed(f'invalid argument "{value}" for "{flag}" (must be true or false)')
            return [flag] if value in _TRUE else []
        return [word] if flag.startswith("--") else [flag, value]
