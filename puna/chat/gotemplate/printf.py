"""Go's fmt.Sprintf and fmt.Sprint, as https://pkg.go.dev/fmt describes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .values import ExecError, plain, type_name
from .verbs import Spec, format_value

_FLAGS = re.compile(r"[-+# 0]*")
_DIGITS = re.compile(r"[0-9]*")
_INDEX = re.compile(r"\[([0-9]+)\]")
_WIDEST = 1_000_000


def sprint(values: Sequence[Any]) -> str:
    """The values in a row, with a space between two of which neither is a string."""
    parts: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            parts.append(" ")
        parts.append(plain(value))
    return "".join(parts)


def sprintf(pattern: str, values: Sequence[Any]) -> str:
    """`pattern` filled with `values`; errors appear in the text, as `%!d(string=a)`.

    Raises ExecError for a field wider than a million.
    """
    return _Filling(pattern, values).text()


class _Filling:
    """A position in the pattern, and the index of the next value."""

    def __init__(self, pattern: str, values: Sequence[Any]) -> None:
        self.pattern, self.values = pattern, values
        self.at = self.next = 0
        self.chosen = False
        """A directive gave its value's number."""
        self.parts: list[str] = []

    def text(self) -> str:
        while (percent := self.pattern.find("%", self.at)) >= 0:
            self.parts.append(self.pattern[self.at : percent])
            self.at = percent + 1
            self.directive()
        self.parts.append(self.pattern[self.at :])
        if not self.chosen and self.next < len(self.values):
            extra = [
                f"{type_name(value)}={plain(value)}" if value is not None else "<nil>"
                for value in self.values[self.next :]
            ]
            self.parts.append(f"%!(EXTRA {', '.join(extra)})")
        return "".join(self.parts)

    def directive(self) -> None:
        """One directive; a number in brackets selects the value for what follows it directly."""
        flags = self.match(_FLAGS)
        numbered, good = self.index()
        if self.take("*"):
            width, numbered = self.star("WIDTH"), False
        else:
            width = self.number("width")
            good = good and not (numbered and width is not None)
        precision = None
        if self.take("."):
            good = good and not numbered
            numbered, well = self.index()
            good = good and well
            if self.take("*"):
                precision, numbered = self.star("PREC"), False
            else:
                precision = self.number("precision") or 0
        if not numbered:
            _, well = self.index()
            good = good and well
        verb = self.pattern[self.at : self.at + 1]
        self.at += 1
        self.parts.append(self.fill(verb, Spec.of(flags, width, precision, verb), good=good))

    def fill(self, verb: str, spec: Spec, *, good: bool) -> str:
        if not verb:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        if not good:
            return f"%!{verb}(BADINDEX)"
        if self.next >= len(self.values):
            return f"%!{verb}(MISSING)"
        self.next += 1
        return format_value(spec, verb, self.values[self.next - 1])

    def index(self) -> tuple[bool, bool]:
        """Whether a value's number comes here, and whether it is valid."""
        if not self.pattern.startswith("[", self.at):
            return False, True
        self.chosen = True
        found = _INDEX.match(self.pattern, self.at)
        if found:
            self.at = found.end()
            index = int(found[1]) - 1
            good = 0 <= index < len(self.values)
            self.next = index if good else self.next
            return True, good
        close = self.pattern.find("]", self.at)
        self.at = self.at + 1 if close < 0 or len(self.pattern) - self.at < 3 else close + 1
        return False, False

    def star(self, what: str) -> int | None:
        """A width or precision taken from the values."""
        value = self.values[self.next] if self.next < len(self.values) else None
        self.next += self.next < len(self.values)
        least = 0 if what == "PREC" else -_WIDEST
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= _WIDEST:
            return value
        self.parts.append(f"%!(BAD{what})")
        return None

    def number(self, what: str) -> int | None:
        digits = self.match(_DIGITS)
        if len(digits) > 7 or int(digits or "0") > _WIDEST:
            raise ExecError(f"{what} {digits} is too large")
        return int(digits) if digits else None

    def match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.pattern, self.at)
        self.at = found.end() if found else self.at
        return found[0] if found else ""

    def take(self, mark: str) -> bool:
        found = self.pattern.startswith(mark, self.at)
        self.at += found
        return found
