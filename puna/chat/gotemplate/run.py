"""One execution of a template, and the allowance that makes every execution end."""

from __future__ import annotations

from typing import Any

from puna.chat.allowance import Allowance
from puna.errors import PunaError


class Run:
    """The text so far, the variables in scope, and what is left of the allowance.

    A template call costs one unit, too. Text costs units only if functions make it.
    """

    def __init__(self, dot: Any, allowed: Allowance) -> None:
        self.out: list[str] = []
        self.size = 0
        self.variables: list[tuple[str, Any]] = [("$", dot)]
        self.most = allowed.characters
        self.units = allowed.units
        self.depth = 0

    def write(self, text: str) -> None:
        """Append `text`. Raises PunaError beyond the most characters."""
        self.out.append(text)
        self.size += len(text)
        if self.size > self.most:
            raise PunaError(f"template: the prompt is longer than {self.most} characters")

    def spend(self, units: int) -> None:
        """Take `units` from the allowance. Raises PunaError when it is used up."""
        self.units -= units
        if self.units < 0:
            raise PunaError("template: the template takes too many steps")

    def assign(self, name: str, value: Any) -> bool:
        """Set the innermost variable of this name; False when none is in scope."""
        for index in range(len(self.variables) - 1, -1, -1):
            if self.variables[index][0] == name:
                self.variables[index] = (name, value)
                return True
        return False
