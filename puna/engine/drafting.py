"""Decides what a step evaluates of each answer: its next token, and as long a draft as pays."""

from __future__ import annotations

from functools import partial

from puna.engine import budget
from puna.engine.batch import Batch, Share
from puna.engine.drafts import (
    LONGEST,
    Costs,
    EvaluatedRows,
    ProposalRequest,
    Proposer,
    SharedTexts,
    promise,
    worth,
)
from puna.engine.sequence import Sequence

_BESIDE_PROMPTS = 7
"""Longest draft while prompts wait for evaluation."""

_Guess = tuple[list[int], list[float]]
"""Likely next tokens, and the probability that all are right, up to each."""

_NOTHING: _Guess = ([], [])


class Drafting:
    """Gets drafts and decides their length, by measured costs of steps and rates of acceptance."""

    def __init__(self, proposer: Proposer | None, *, n_batch: int) -> None:
        """`n_batch`: most rows of a step."""
        self._proposer = proposer
        self._n_batch = n_batch
        self._costs = Costs()
        self._shared_texts = SharedTexts()

    def learn(self, batch: Batch, took: int) -> None:
        """A batch took `took` nanoseconds. Its hidden states are still there."""
        self._costs.learn(batch.rows, took)
        if self._proposer is None:
            return
        parts: list[EvaluatedRows] = []
        first = 0
        for share in batch.shares:
            if share.sequence.follows:
                parts.append(share.sequence.evaluated_rows(first, share.size, share.draft))
            first += share.rows
        self._proposer.follow(parts)

    def ended(self, sequence: Sequence) -> None:
        """Keep a finished answer, because later ones may repeat it."""
        if sequence.answered:
            self._shared_texts.add(sequence.job.owner, sequence.history[-sequence.answered :])

    def shares(self, decoding: list[Sequence], others: int, longest: int) -> list[Share]:
        """One token of each answer, and the drafts that pay in a batch with `others` rows of prompts.

        A draft has at most `longest` tokens.
        """
        shares: list[Share] = []
        rows, tokens = others + len(decoding), float(len(decoding))
        longest = min(longest, LONGEST)
        most = self._worthwhile(rows, tokens, others, longest)
        guesses = self._guesses(decoding, most, rows, tokens) if most else [_NOTHING] * len(decoding)
        for sequence, (guessed, chances) in zip(decoding, guesses, strict=True):
            length = worth(chances[:most], self._costs, rows=rows, tokens=tokens)
            shares.append(Share(sequence, 1, guessed[:length]))
            if length:
                rows += length
                tokens += sum(chances[:length])
                most = self._worthwhile(rows, tokens, others, longest)
        return shares

    def _worthwhile(self, rows: int, tokens: float, others: int, longest: int) -> int:
        """The best length of a draft that is certainly right; if it is 0, no draft is made."""
        most = self._n_batch - rows
        if others:
            most = min(_BESIDE_PROMPTS, most + others - budget.TILE)
        most = min(longest, most)
        return worth([1.0] * most, self._costs, rows=rows, tokens=tokens)

    def _guesses(self, decoding: list[Sequence], most: int, rows: int, tokens: float) -> list[_Guess]:
        """A draft for each answer: from its text, its grammar or the model that drafts."""
        guesses = [sequence.draft(most, self._shared_texts.by(sequence.job.owner)) for sequence in decoding]
        proposer = self._proposer
        if proposer is None or not decoding:
            return guesses
        each = proposer.costs.of(len(decoding)) / len(decoding)
        least = each * tokens / max(self._costs.of(rows), 1)
        places: list[int] = []
        requests: list[ProposalRequest] = []
        for at, (sequence, (_, chances)) in enumerate(zip(decoding, guesses, strict=True)):
            if size := self._to_propose(sequence, chances, most, each, rows=rows, tokens=tokens):
                places.append(at)
                requests.append(sequence.proposal_request(size, least))
        for at, proposal in zip(places, proposer.propose(requests), strict=True):
            chances = decoding[at].weigh(proposal)
            if sum(chances) > sum(guesses[at][1]):
                guesses[at] = proposal.tokens, chances
        return guesses

    def _to_propose(
        self, sequence: Sequence, chances: list[float], most: int, each: float, *, rows: int, tokens: float
    ) -> int:
        """Tokens to request from the proposer, which takes `each` nanoseconds for one.

        `chances`: those of the draft that costs nothing.
        """
        drafter = sequence.drafter
        if drafter is None:
            return 0
        room = sequence.room(min(most, drafter.most))
        pays = partial(worth, costs=self._costs, rows=rows, tokens=tokens)
        promises = partial(promise, costs=self._costs, rows=rows, tokens=tokens)
        foreseen = drafter.confidence.foreseen(room)
        size = pays(foreseen, each=each)
        if not size:
            return drafter.confidence.sample(pays([1.0] * room, each=each))
        known = chances[: pays(chances)]
        return size if promises(foreseen[:size], each=each) > promises(known) else 0
