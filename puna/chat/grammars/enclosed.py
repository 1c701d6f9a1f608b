"""What ends a value between tags and begins the next one, as `puna.chat.parsing` reads it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from puna.chat.parsing.elements import Elements

from .rules import Rules, literal, literals


class Enclosed(Protocol):
    """How a family writes a call's parameters."""

    @property
    def pad(self) -> str:
        """What stands on both sides of a value and is no part of it."""
        ...

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that may end a value."""
        ...

    @property
    def writable(self) -> str:
        """The names that can be written, as a regular expression."""
        ...

    def head(self, name: str) -> str:
        """The rest of a parameter's tag, from behind what `following` ends with up to its value."""
        ...

    def terminators(self, names: Iterable[str]) -> str:
        """What would end a value, and so cannot be in one: a regular expression of literals."""
        ...

    def text(self, inner: str, padded: bool, named: str, tail: str) -> list[str]:
        """The ways to write a value that is `inner`, a terminal, and to go on.

        `named` is a parameter from its name on, `tail` what is behind the call's end tag; "" may not come.
        `padded`: only between pads.
        """
        ...

    def following(self, named: str, tail: str, *, close: bool) -> str:
        """The same from behind a value that shows its own end; with `close`, past its closing tag."""
        ...


@dataclass(frozen=True)
class ParameterTags:
    """`<parameter=k>v</parameter>…</function>`, whose tags are no tokens."""

    rules: Rules
    elements: Elements
    written: Callable[[str], str]
    """The rest of the opening tag for a name."""
    outer: Callable[[str], str]
    """The tag behind the call, behind a terminal."""
    writable: str

    @property
    def pad(self) -> str:
        return self.elements.pad

    @property
    def tags(self) -> tuple[str, ...]:
        return self.elements.close, self.elements.opened, self.elements.end

    def head(self, name: str) -> str:
        return literal(self.written(name))

    def terminators(self, names: Iterable[str]) -> str:
        tags = self.elements
        opened, end, close = literal(tags.opened), literal(tags.end), literal(tags.close)
        declared = literals(tags.opened + self.written(name) for name in names)
        return f"({close} BLANK ({opened} | {end}) | {declared} | {end} BLANK {literals(tags.followers)})"

    def text(self, inner: str, padded: bool, named: str, tail: str) -> list[str]:
        tags, pad = self.elements, f"{literal(self.pad)} " if padded and self.pad else ""
        opened, end, close = literal(tags.opened), literal(tags.end), f"{pad}{literal(tags.close)} GAP"
        ways: list[str] = []
        if named:
            head = self.rules.head(rf'{inner} ({close} | "\n") {opened}')
            ways.append(f"{head} {named}")
        if tail:
            ways.append(f"{self.rules.head(f'{inner} {close} {end}')} {tail}")
            ways.append(self.outer(self.rules.terminal("ENDED", rf'{inner} "\n"? {end} GAP')))
        return ways

    def following(self, named: str, tail: str, *, close: bool) -> str:
        tags = self.elements
        ways = [f"GAP {literal(tags.opened)} {named}"] if named else []
        ways += [f"GAP {literal(tags.end)} {tail}"] if tail else []
        before = f"(GAP {literal(tags.close)})? " if close else ""
        return f"{before}({' | '.join(ways)})"


@dataclass(frozen=True)
class KeyTags:
    """`<arg_key>k</arg_key><arg_value>v</arg_value>…</tool_call>`, whose tags may be tokens."""

    rules: Rules
    key: tuple[str, str]
    value: tuple[str, str]
    end: str
    writable: str
    pad: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        return self.value[1], self.key[0], self.end

    def head(self, name: str) -> str:
        return f"{literal(name)} {self.rules.marker(self.key[1])} GAP {self.rules.marker(self.value[0])}"

    def terminators(self, names: Iterable[str]) -> str:
        # The closing tag may be in a value: see `text`.
        unmarked = [f"{name}{self.key[1]}" for name in names]
        return f"({literals([self.key[0], self.end, self.value[1]])} | {literals(unmarked)})"

    def text(self, inner: str, padded: bool, named: str, tail: str) -> list[str]:
        rules = self.rules
        ways = [f"{rules.until(self.key[0], inner)} {named}"] if named else []
        ways += [rules.until(self.end, inner)] if tail else []
        closed = rules.until(self.value[1], inner)
        if padded:
            return [*ways, f"{closed} {self.following(named, tail, close=False)}"]
        return [f"({closed})* ({' | '.join(ways)})"]

    def following(self, named: str, tail: str, *, close: bool) -> str:
        rules = self.rules
        ways = [f"GAP {rules.marker(self.key[0])} {named}"] if named else []
        ways += [f"GAP {rules.marker(self.end)}"] if tail else []
        before = f"(GAP {rules.marker(self.value[1])})? " if close else ""
        return f"{before}({' | '.join(ways)})"


def writes(enclosed: Enclosed, name: str) -> bool:
    return re.fullmatch(enclosed.writable, name) is not None
