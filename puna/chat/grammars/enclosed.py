"""The grammar of the tags between values, as `puna.chat.parsing` parses them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from puna.chat.parsing.elements import Elements
from puna.chat.parsing.keyed import Keyed

from .rules import Rules, literal, literals


class Then(NamedTuple):
    """The rules that may follow a value; "" if not allowed."""

    named: str
    """A parameter, starting with its name."""
    tail: str
    """The rest after the call's end tag."""
    unclosed: tuple[tuple[str, str], ...] = ()
    """The missing parameters with their values. Their tags end a value without a closing tag."""


class Enclosed(Protocol):
    """A family's notation for a call's parameters."""

    @property
    def pad(self) -> str:
        """White space around a value, which is not part of it."""
        ...

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags that may end a value."""
        ...

    @property
    def writable(self) -> str:
        """The names that the notation can write, as a regular expression."""
        ...

    def head(self, name: str) -> str:
        """The rest of a parameter's tag: from the end of `following` to the value."""
        ...

    def text(self, then: Then, declared: tuple[str, ...]) -> str:
        """Any text and its continuation. `declared` are all parameters."""
        ...

    def limited(self, inner: str, then: Then) -> list[str]:
        """The alternatives for `inner`, a terminal without tags, between pads, with its continuation."""
        ...

    def following(self, then: Then, *, close: bool) -> str:
        """The continuation after a value with a definite end; with `close`, its closing tag comes first."""
        ...


@dataclass(frozen=True)
class ParameterTags:
    """`<parameter=k>v</parameter>…</function>`, with tags that are not tokens."""

    rules: Rules
    elements: Elements
    written: Callable[[str], str]
    """The rest of the opening tag for a name."""
    outer: Callable[[str], str]
    """The tag after the call, for use after a terminal."""
    writable: str

    @property
    def pad(self) -> str:
        return self.elements.pad

    @property
    def tags(self) -> tuple[str, ...]:
        return self.elements.close, self.elements.opened, self.elements.end

    def head(self, name: str) -> str:
        return literal(self.written(name))

    def text(self, then: Then, declared: tuple[str, ...]) -> str:
        rules, tags = self.rules, self.elements
        opened, end, close = literal(tags.opened), literal(tags.end), literal(tags.close)
        ends = f"{close} BLANK ({opened} | {end}) | {end} BLANK {literals(tags.followers)}"
        free = rules.terminal("FREETEXT", f"ANY & ~(ANY ({ends}) ANY)")
        # A parameter's tag ends the text only where the parameter is allowed.
        lines = [
            f"{rules.head(f'{self._solid(free)} {literal(self._line(name))}')} {value}"
            for name, value in then.unclosed
        ]
        return rules.any_of("text", [*self._closed(free, close, then), *lines])

    def limited(self, inner: str, then: Then) -> list[str]:
        pad = f"{literal(self.pad)} " if self.pad else ""
        inner = self.rules.terminal("PADDED", f"{pad}{inner}") if pad else inner
        alternatives = self._closed(inner, f"{pad}{literal(self.elements.close)}", then)
        if then.unclosed:
            line = self.rules.head(f"{self._solid(inner)} {literal(self._line())}")
            alternatives.append(f"{line} {_named(self, then)}")
        return alternatives

    def following(self, then: Then, *, close: bool) -> str:
        rules, tags = self.rules, self.elements
        before = f"GAP {literal(tags.close)} GAP" if close else "GAP"
        alternatives = (
            [f"{rules.head(f'{before} {literal(tags.opened)}')} {then.named}"] if then.named else []
        )
        if then.tail:
            alternatives.append(f"{rules.head(f'{before} {literal(tags.end)}')} {then.tail}")
        if close and then.tail:
            alternatives.append(f"{rules.head(f'GAP {literal(tags.end)}')} {then.tail}")
        if close and then.unclosed:
            alternatives.append(f"{rules.head(f'GAP {literal(self._line())}')} {_named(self, then)}")
        return f"({' | '.join(alternatives)})"

    def _closed(self, inner: str, close: str, then: Then) -> list[str]:
        """The value `inner` up to its closing tag, or without one at the call's end."""
        rules, tags = self.rules, self.elements
        alternatives: list[str] = []
        if then.named:
            alternatives.append(f"{rules.head(f'{inner} {close} GAP {literal(tags.opened)}')} {then.named}")
        if then.tail:
            alternatives.append(f"{rules.head(f'{inner} {close} GAP {literal(tags.end)}')} {then.tail}")
            alternatives.append(
                self.outer(rules.terminal("ENDED", rf'{inner} "\n"? {literal(tags.end)} GAP'))
            )
        return alternatives

    def _line(self, name: str = "") -> str:
        """A parameter's tag where the previous closing tag is missing."""
        return f"\n{self.elements.opened}{self.written(name) if name else ''}"

    def _solid(self, inner: str) -> str:
        return self.rules.terminal("SOLID", rf"{inner} & /(?s:.*)\S(?s:.*)/")


@dataclass(frozen=True)
class KeyTags:
    """`<arg_key>k</arg_key><arg_value>v</arg_value>…</tool_call>`, with tags that may be tokens."""

    rules: Rules
    keyed: Keyed
    writable: str
    pad: str = ""

    @property
    def tags(self) -> tuple[str, ...]:
        return self.keyed.value_end, self.keyed.key, self.keyed.end

    def head(self, name: str) -> str:
        end, value = self.rules.marker(self.keyed.key_end), self.rules.marker(self.keyed.value)
        return f"{literal(name)} {end} GAP {value}"

    def text(self, then: Then, declared: tuple[str, ...]) -> str:
        """Splits the text at every tag; the grammar's state decides whether the tag ends the text."""
        rules, end = self.rules, self.keyed.end
        key, key_end = self.keyed.key, self.keyed.key_end
        value, value_end = self.keyed.value, self.keyed.value_end
        plain = rules.without(key, key_end, value, value_end, end)
        solid = rules.terminal("SOLID", f"{plain} & ~(BLANK {literals(['', *declared])} BLANK)")
        text, begun, named, closed, further = map(
            rules.reserve, ("text", "begun", "named", "closed", "further")
        )

        def cut(terminal: str, *, begins: str = begun, opens: bool = True) -> str:
            within = (key_end, value) if opens else (key_end,)
            alternatives = [
                f"{rules.any_of('within', [rules.until(tag, terminal) for tag in within])} {text}"
            ]
            alternatives += [f"{rules.until(key, terminal)} {begins}"] if begins else []
            alternatives += [f"{rules.until(value_end, terminal)} {closed}"]
            return " | ".join([*alternatives, *([rules.until(end, terminal)] if then.tail else [])])

        left = dict(then.unclosed)
        others = [name for name in declared if name not in left]
        keys = [f"{rules.until(key_end, rules.terminal('NAME', literals(others)))} {text}"] if others else []
        keys += [
            f"{rules.until(key_end, rules.terminal('NAME', literal(name)))} "
            f"({rules.until(value, 'BLANK')} {rest} | {named})"
            for name, rest in left.items()
        ]
        rules.define(text, cut(plain))
        rules.define(further, cut(solid))
        rules.define(begun, " | ".join([*keys, cut("BLANK"), further]))
        rules.define(named, f"{cut('BLANK', opens=False)} | {further}")
        rules.define(closed, f"{cut('BLANK', begins=then.named)} | {further}")
        return text

    def limited(self, inner: str, then: Then) -> list[str]:
        rules, tags = self.rules, self.keyed
        alternatives = [f"{rules.until(tags.key, inner)} {_named(self, then)}"] if then.unclosed else []
        alternatives += [rules.until(tags.end, inner)] if then.tail else []
        return [*alternatives, f"{rules.until(tags.value_end, inner)} {self.following(then, close=False)}"]

    def following(self, then: Then, *, close: bool) -> str:
        rules, tags = self.rules, self.keyed
        before = f"GAP {rules.marker(tags.value_end)} " if close else ""
        key = f"GAP {rules.marker(tags.key)}"
        alternatives = [f"{before}{key} {then.named}"] if then.named else []
        alternatives += [f"{key} {_named(self, then)}"] if close and then.unclosed else []
        alternatives += (
            [f"{f'({before})?' if close else ''} GAP {rules.marker(tags.end)}"] if then.tail else []
        )
        return f"({' | '.join(alternatives)})"


def _named(enclosed: Enclosed, then: Then) -> str:
    """A missing parameter, starting with its name."""
    return f"({' | '.join(f'{enclosed.head(name)} {value}' for name, value in then.unclosed)})"


def writes(enclosed: Enclosed, name: str) -> bool:
    """Whether the notation can write a parameter of this name."""
    return re.fullmatch(enclosed.writable, name) is not None
