"""Whose turn it is. Users are served in rotation, each one's requests in order of arrival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from puna.engine import budget
from puna.types import Turn


def order(waiting: Sequence[Turn], running: Iterable[Turn]) -> list[int]:
    """The indices of `waiting` (in order of arrival) in order of service.

    The user with the fewest running requests is next. Requests of a priority above 0 come after those of all
    users with a lower one. A priority below 0 only puts a request before its user's others.
    """
    places = Counter(turn.user for turn in running)
    keys: dict[int, tuple[int, int, int]] = {}
    for at in sorted(range(len(waiting)), key=lambda at: (waiting[at].priority, at)):
        turn = waiting[at]
        keys[at] = max(turn.priority, 0), places[turn.user], at
        places[turn.user] += 1
    return sorted(keys, key=keys.__getitem__)


def shares(pending: Sequence[int], users: Sequence[str], tokens: int) -> list[int]:
    """Split a step's `tokens` evenly among the users, and each user's part among its sequences."""
    by_user: dict[str, list[int]] = {}
    for at, user in enumerate(users):
        by_user.setdefault(user, []).append(at)
    sizes = [0] * len(pending)
    sums = [sum(pending[at] for at in each) for each in by_user.values()]
    for each, part in zip(by_user.values(), budget.share(sums, tokens), strict=True):
        for at, size in zip(each, budget.share([pending[at] for at in each], part), strict=True):
            sizes[at] = size
    return sizes
