"""Replaces conditions on neighbouring characters by constraints on these characters.

These are word boundaries, and lookarounds of one character (ECMA-262 §22.2.1, Assertion).
"""

from __future__ import annotations

from collections.abc import Iterable

from .tree import Anchor, Chars, Disjunction, Look, Near, Range, Repeat, Side, Term, Unsupported, complement

_MOST = 64
"""Most sequences made from one pattern."""
_DEEPEST = 32

Terms = tuple[Term, ...]
_CONDITIONS = (Near, Look)


def unconditional(options: Iterable[Terms]) -> list[Terms]:
    """Equivalent sequences without such conditions: one of them matches where one of `options` does.

    Raises Unsupported.
    """
    found = [each for option in options for items in expand(option, _CONDITIONS) for each in _settle(items)]
    if len(found) > _MOST:
        raise Unsupported("so many assertions")
    return found


def expand(items: Terms, kinds: tuple[type[Term], ...], *, ends: bool = False) -> list[Terms]:
    """The sequence for every alternative of the groups that contain items of these `kinds`.

    With `ends`, only for groups at its ends.
    """
    places = dict.fromkeys((0, len(items) - 1)) if ends and items else range(len(items))
    for at in places:
        group = items[at]
        if isinstance(group, Disjunction) and _has(group, kinds):
            return [
                each
                for option in group.options
                for each in expand((*items[:at], *option, *items[at + 1 :]), kinds, ends=ends)
            ]
    return [items]


def _has(item: Term, kinds: tuple[type[Term], ...]) -> bool:
    if isinstance(item, Disjunction):
        return any(_has(one, kinds) for option in item.options for one in option)
    return isinstance(item, kinds)


def _settle(items: Terms) -> list[Terms]:
    """The sequences that satisfy the last condition, without conditions."""
    at = max((at for at, one in enumerate(items) if isinstance(one, (Near, Look))), default=None)
    if at is None:
        return [items]
    condition, before, after = items[at], items[:at], items[at + 1 :]
    if isinstance(condition, Look):
        # At the pattern's own end, it is part of the search.
        if not condition.negative and not (before if condition.behind else after):
            return _settle((*before, condition.body, *after))
        condition = _near(condition)
    assert isinstance(condition, Near)
    found: list[Terms] = []
    for left, right in condition.options:
        rests = _limit(after, right, back=False)
        found += [
            each
            for one in _limit(before, left, back=True)
            for rest in rests
            for each in _settle((*one, *rest))
        ]
        if len(found) > _MOST:
            raise Unsupported("so many assertions")
    return found


def _near(look: Look) -> Near:
    """The condition of a lookaround of one character. Raises Unsupported for longer ones."""
    ranges: list[Range] = []
    for option in look.body.options:
        only = option[0] if len(option) == 1 else None
        if not isinstance(only, Chars) or only.properties:
            raise Unsupported("an assertion of more than one character within the pattern")
        ranges += complement(only.ranges) if only.negated else only.ranges
    side = Side(complement(tuple(ranges)) if look.negative else tuple(ranges), edge=look.negative)
    return Near(((side, None) if look.behind else (None, side),))


def _limit(items: Terms, side: Side | None, *, back: bool, depth: int = 0) -> list[Terms]:
    """The sequences whose first character (last, if `back`) is in `side`."""
    if side is None:
        return [items]
    if depth > _DEEPEST:
        raise Unsupported("an assertion beside so many repetitions")
    edge = Anchor("^" if back else "$")
    if not items:
        return [(Chars(side.chars),), *([(edge,)] if side.edge else [])]
    head, rest = (items[-1], items[:-1]) if back else (items[0], items[1:])

    def joined(heads: Terms, others: Terms = rest) -> Terms:
        return (*others, *heads) if back else (*heads, *others)

    def limited(heads: Terms) -> list[Terms]:
        return _limit(joined(heads), side, back=back, depth=depth + 1)

    if isinstance(head, Anchor):
        if head != edge:
            raise Unsupported("an assertion behind the end or before the beginning")
        return [items] if side.edge else []
    if isinstance(head, Chars):
        kept = _common(head, side.chars)
        return [joined((kept,))] if kept.ranges else []
    if isinstance(head, Disjunction):
        return [each for option in head.options for each in limited(option)]
    if isinstance(head, Repeat):
        found = limited(()) if head.least == 0 else []
        if head.most == 0:
            return found
        fewer = Repeat(head.body, max(head.least - 1, 0), None if head.most is None else head.most - 1)
        once = (head.body,) if fewer.most == 0 else (fewer, head.body) if back else (head.body, fewer)
        return found + limited(once)
    return [joined((head,), others) for others in _limit(rest, side, back=back, depth=depth + 1)]


def _common(chars: Chars, ranges: tuple[Range, ...]) -> Chars:
    if chars.properties:
        raise Unsupported("a Unicode property beside an assertion")
    own = chars.ranges if chars.negated else complement(chars.ranges)
    return Chars(complement((*own, *complement(ranges))))
