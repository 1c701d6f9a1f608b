"""Drafts for one sequence: tokens that its grammar forces, or that followed the same tokens before."""

from __future__ import annotations

from collections.abc import Sequence

from puna.engine.drafts.confidence import Confidence
from puna.engine.drafts.rate import Rate, cumulative
from puna.engine.drafts.text import MOST, TokenText

LONGEST = 31
"""Most tokens of a draft. More rows are hardly more efficient, and text would come in bursts."""

_PRIORS = (0.3, 0.3, 0.3, 0.5, 0.7, 0.85)
"""Prior probability that a token is right, by the bit length of the number of matching tokens before it."""

_REACH = 16
"""Tokens of a source in which the text may rejoin it after an edit: most edits are shorter."""

_PATIENCE = 8
"""Consecutive tokens that may differ from a source before it is dropped."""


class Drafter:
    """Drafts for one sequence.

    Drafts that are not evaluated are compared with the answer too, to know whether they would pay.
    """

    def __init__(self, tokens: Sequence[int], *, most: int) -> None:
        """`tokens`: the prompt. `most`: longest draft."""
        self.most = min(most, LONGEST)
        self._own = TokenText(tokens)
        self._source: TokenText | None = None
        self._place = 0
        self._matching = 0
        """Tokens before `place` that equal the sequence's last ones."""
        self._diverged = 0
        """Consecutive last tokens that differ from the source."""
        self._forced: list[int] = []
        self._by_matching = [Rate(prior, seen=1) for prior in _PRIORS]
        self._by_force = Rate(0.8)
        self.confidence = Confidence()
        """How often the proposer is right, if there is one."""

    def take(self, token: int) -> None:
        """Learn from `token`, which was drawn, whether the draft was right."""
        if self._forced:
            right = self._forced.pop(0) == token
            self._by_force.learn(right)
            if not right:
                self._forced.clear()
        if self._source is not None:
            right = self._source.continuation(self._place, 1) == [token]
            self._rate(self._matching).learn(right)
            self._place += 1
            self._matching = self._matching + 1 if right else 0
            self._diverged = 0 if right else self._diverged + 1
        self.confidence.take(token)
        self._own.extend([token])

    def draft(self, most: int, *, forced: Sequence[int], shared: TokenText) -> tuple[list[int], list[float]]:
        """At most `most` tokens, and for each the probability that it and all before it are right.

        `forced`: one tokenization of the text that the grammar forces. `shared`: texts that the answer may
        repeat, besides the sequence itself.
        """
        most = min(most, self.most)
        self._forced = list(forced)
        by_force = cumulative([self._by_force] * min(most, len(forced)))
        continuation = self._prompt_lookup(most, shared)
        by_matching = cumulative(self._rate(self._matching + ahead) for ahead in range(len(continuation)))
        if sum(by_force) > sum(by_matching):
            return self._forced[:most], by_force
        return continuation, by_matching

    def _prompt_lookup(self, most: int, shared: TokenText) -> list[int]:
        if self._source is None or self._diverged or not self._source.continuation(self._place, 1):
            self._find_source(shared)
        return self._source.continuation(self._place, most) if self._source is not None else []

    def _find_source(self, shared: TokenText) -> None:
        tail, longest = self._own.end(MOST), 0
        for text in (self._own, shared):
            place, length = text.find(tail)
            if length > longest:
                self._source, self._place, self._matching, longest = text, place, length, length
        if longest:
            self._diverged = 0
        elif self._source is not None and self._diverged:
            self._rejoin(self._source, int(tail[-1]))
        else:
            self._source = None

    def _rejoin(self, source: TokenText, last: int) -> None:
        """The text differs from its source, as after an edit: continue after its last token, if that is near.

        Until then, each token is assumed to replace one of the source.
        """
        place = source.index_after(last, self._place - self._diverged, _REACH)
        if place:
            self._place, self._matching, self._diverged = place, 1, 0
        elif self._diverged > _PATIENCE:
            self._source = None

    def _rate(self, matching: int) -> Rate:
        return self._by_matching[min(matching, MOST).bit_length()]
