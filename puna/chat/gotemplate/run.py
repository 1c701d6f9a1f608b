"""One execution of a template, and the budget that makes every execution end."""

from __future__ import annotations

from typing import Any

from puna.errors import PunaError

MOST_CHARACTERS = 4 << 20
_BUDGET = 100_000


class Run:
    """The text so far, the variables in scope, and what is left of the budget.

    A loop's turn and a template call cost one unit each; text made by functions costs one for 64 characters.
    """

    def __init__(self, dot: Any) -> None:
        self.out: list[str] = []
        self.size = 0
        self.variables: list[tuple[str, Any]] = [("$", dot)]
        self.budget = _BUDGET
        self.depth = 0

    def write(self, text: str) -> None:
        """Append `text`. Raises PunaError beyond MOST_CHARACTERS."""
        self.out.append(text)
        self.size += len(text)
        if self.size > MOST_CHARACTERS:
            raise PunaError(f"template: the prompt is longer than {MOST_CHARACTERS} characters")

    def spend(self, units: int) -> None:
        """Take `units` from the budget. Raises PunaError when it is used up."""
        self.budget -= units
        if self.budget < 0:
            raise PunaError("template: the template takes too many steps")

    def assign(self, name: str, value: Any) -> bool:
        """Set the innermost variable of this name; False when none is in scope."""
        for index in range(len(self.variables) - 1, -1, -1):
            if self.variables[index][0] == name:
                self.variables[index] = (name, value)
                return True
        return False
