"""Arguments in any order, each at most once, with all required ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

from .rules import Rules

_MOST = 6
"""Most arguments to allow in every order: each argument doubles the rules."""

_MOST_STATES = 5
"""The same limit for `States`, whose rules are several times as long."""

_FEW = 4
"""In `States`, optional arguments may repeat beyond this number of arguments."""

Member = tuple[str, bool]
"""The rule of an item, and whether it is required."""


def in_any_order(rules: Rules, items: list[Member], separator: str = "") -> str:
    """The items in any order.

    Beyond the limit, optional items may repeat. Too many required items must keep their order.
    """
    needed = [item for item, must in items if must]
    if len(items) <= _MOST:
        return _first(rules, frozenset(items), separator)
    if len(needed) <= _MOST:
        return _repeated(rules, [item for item, must in items if not must], frozenset(needed), separator)
    return _in_order(rules, items, separator)


class States(NamedTuple):
    """Any order as a state machine, for notations in which an item's end depends on the next item."""

    first: Hashable
    following: Callable[[Hashable], list[tuple[str, Hashable]]]
    """The items allowed in a state, each with the next state."""
    may_end: Callable[[Hashable], bool]
    again: frozenset[str] = frozenset()
    """The items that may repeat."""


def order_states(items: list[Member]) -> States:
    """The items in any order, with the limits of this notation; otherwise like `in_any_order`."""
    needed = frozenset(item for item, must in items if must)
    if len(needed) > _MOST_STATES:
        return _kept(items)
    every = frozenset(item for item, _ in items)
    again = every - needed if len(items) > _FEW else frozenset[str]()

    def following(left: Hashable) -> list[tuple[str, Hashable]]:
        assert isinstance(left, frozenset)
        return [(item, left - {item} | again) for item, _ in items if item in left]

    return States(every, following, lambda left: isinstance(left, frozenset) and not left & needed, again)


def _kept(items: list[Member]) -> States:
    """The items in their given order."""

    def following(at: Hashable) -> list[tuple[str, Hashable]]:
        assert isinstance(at, int)
        alternatives: list[tuple[str, Hashable]] = []
        for place, (item, must) in enumerate(items[at:], at + 1):
            alternatives.append((item, place))
            if must:
                break
        return alternatives

    return States(0, following, lambda at: isinstance(at, int) and not any(must for _, must in items[at:]))


def _first(rules: Rules, items: frozenset[Member], separator: str) -> str:
    known: dict[frozenset[Member], str] = {}

    def further(left: frozenset[Member]) -> str:
        """The rest after some items."""
        if left and left not in known:
            alternatives = [f"{separator} {item[0]} {further(left - {item})}" for item in sorted(left)]
            known[left] = rules.rule("further", _optional(alternatives, left))
        return known.get(left, "")

    alternatives = [f"{item[0]} {further(items - {item})}" for item in sorted(items)]
    return _optional(alternatives, items)


def _optional(alternatives: list[str], items: frozenset[Member]) -> str:
    if not alternatives:
        return ""
    return f"({' | '.join(alternatives)})" + ("" if any(must for _, must in items) else "?")


def _repeated(rules: Rules, optional: list[str], needed: frozenset[str], separator: str) -> str:
    states: dict[frozenset[str], str] = {}

    def further(left: frozenset[str]) -> str:
        if left not in states:
            states[left] = rules.reserve("further")
            alternatives = [f"{separator} {item} {states[left]}" for item in optional]
            alternatives += [f"{separator} {item} {further(left - {item})}" for item in sorted(left)]
            rules.define(states[left], f"({' | '.join(alternatives)}){'' if left else '?'}")
        return states[left]

    alternatives = [f"{item} {further(needed)}" for item in optional]
    alternatives += [f"{item} {further(needed - {item})}" for item in sorted(needed)]
    return f"({' | '.join(alternatives)}){'' if needed else '?'}"


def _in_order(rules: Rules, items: list[Member], separator: str) -> str:
    rest = ""  # if an item precedes it
    beginning = ""  # the beginnings
    for item, must in reversed(items):
        following = f"{item} {rest}".strip()
        beginning = following if must else f"({following} | {beginning})" if beginning else f"({following})?"
        further = f"{separator} {item}".strip()
        rest = f"{further} {rest}".strip() if must else f"({further})? {rest}".strip()
        rest = rules.rule("further", rest)
    return beginning
