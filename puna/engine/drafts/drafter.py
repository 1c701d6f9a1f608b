"""Drafts for one sequence: what its grammar forces, or what followed the same tokens before."""

from __future__ import annotations

from collections.abc import Sequence

from puna.engine.drafts.confidence import Confidence
from puna.engine.drafts.rate import Rate, chances
from puna.engine.drafts.text import MOST, TokenText

LONGEST = 31
"""Most tokens of a draft: more rows are hardly more efficient, and text would come in bursts."""

_FORESEEN = (0.3, 0.3, 0.3, 0.5, 0.7, 0.85)
"""Prior probability that a draft is right, by the bit length of its matching tokens (0, 1, 2, …)."""

_REACH = 16
"""Tokens of a source within which the text may return to it: most edits are shorter."""

_PATIENCE = 8
"""Tokens that may differ from a source before it is given up."""


class Drafter:
    """Drafts for one sequence. Those not evaluated are compared with the answer too, so it is always
    known whether evaluating them would pay."""

    def __init__(self, tokens: Sequence[int], *, most: int) -> None:
        """`tokens`: the prompt. `most`: longest draft."""
        self.most = min(most, LONGEST)
        self._own = TokenText(tokens)
        self._source: TokenText | None = None
        self._place = 0
        self._alike = 0
        """Tokens before `place` that are those of the sequence."""
        self._lost = 0
        """Tokens since the text has left its source; 0 if it has not."""
        self._forced: list[int] = []
        self._by_likeness = [Rate(foreseen, seen=1) for foreseen in _FORESEEN]
        self._by_force = Rate(0.8)
        self.confidence = Confidence()
        """In the draft model, if there is one."""

    def take(self, token: int) -> None:
        """Learn from `token`, which was drawn, whether the draft was right."""
        if self._forced:
            right = self._forced.pop(0) == token
            self._by_force.learn(right)
            if not right:
                self._forced.clear()
        if self._source is not None:
            right = self._source.following(self._place, 1) == [token]
            self._rate(self._alike).learn(right)
            self._place += 1
            self._alike = self._alike + 1 if right else 0
            self._lost = 0 if right else self._lost + 1
        self.confidence.take(token)
        self._own.extend([token])

    def draft(self, most: int, *, forced: Sequence[int], shared: TokenText) -> tuple[list[int], list[float]]:
        """At most `most` likely next tokens, and the probability that all are right, up to each.

        `forced`: tokens of text that the grammar forces, up to its tokenization.
        `shared`: texts that may be repeated besides the sequence itself.
        """
        most = min(most, self.most)
        self._forced = list(forced)
        by_force = chances([self._by_force] * min(most, len(forced)))
        repeated = self._repeated(most, shared)
        by_likeness = chances(self._rate(self._alike + ahead) for ahead in range(len(repeated)))
        if sum(by_force) > sum(by_likeness):
            return self._forced[:most], by_force
        return repeated, by_likeness

    def _repeated(self, most: int, shared: TokenText) -> list[int]:
        if self._source is None or self._lost or not self._source.following(self._place, 1):
            self._look(shared)
        return self._source.following(self._place, most) if self._source is not None else []

    def _look(self, shared: TokenText) -> None:
        tail, found = self._own.end(MOST), 0
        for text in (self._own, shared):
            place, alike = text.find(tail)
            if alike > found:
                self._source, self._place, self._alike, found = text, place, alike, alike
        if found:
            self._lost = 0
        elif self._source is not None and self._lost:
            self._resume(self._source, int(tail[-1]))
        else:
            self._source = None

    def _resume(self, source: TokenText, last: int) -> None:
        """The text has left its source, as an edit does: go on after its last token, if that is near.

        Until then, each token is assumed to replace one of the source.
        """
        place = source.after(last, self._place - self._lost, _REACH)
        if place:
            self._place, self._alike, self._lost = place, 1, 0
        elif self._lost > _PATIENCE:
            self._source = None

    def _rate(self, alike: int) -> Rate:
        return self._by_likeness[min(alike, MOST).bit_length()]
