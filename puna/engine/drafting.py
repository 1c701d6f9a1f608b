"""Decides how many draft tokens a step evaluates of each answer."""

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
    best_length,
    throughput,
)
from puna.engine.sequence import Sequence

_MAX_BESIDE_PROMPTS = 7
"""Longest draft in a batch with prompts."""

_Draft = tuple[list[int], list[float]]
"""Tokens, and for each the probability that it and all before it are right."""

_NO_DRAFT: _Draft = ([], [])


class Drafting:
    """Makes drafts, and decides their length by measured costs of steps and rates of acceptance."""

    def __init__(self, proposer: Proposer | None, *, n_batch: int) -> None:
        """`n_batch`: most rows of a step."""
        self._proposer = proposer
        self._n_batch = n_batch
        self._costs = Costs()
        self._shared_texts = SharedTexts()

    def learn(self, batch: Batch, took: int) -> None:
        """A batch took `took` nanoseconds. Its hidden states are still readable."""
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

    def remember(self, sequence: Sequence) -> None:
        """Remember a finished answer, because later ones may repeat it."""
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
        drafts = self._drafts(decoding, most, rows, tokens) if most else [_NO_DRAFT] * len(decoding)
        for sequence, (draft, probabilities) in zip(decoding, drafts, strict=True):
            length = best_length(probabilities[:most], self._costs, rows=rows, tokens=tokens)
            shares.append(Share(sequence, 1, draft[:length]))
            if length:
                rows += length
                tokens += sum(probabilities[:length])
                most = self._worthwhile(rows, tokens, others, longest)
        return shares

    def _worthwhile(self, rows: int, tokens: float, others: int, longest: int) -> int:
        """The best length of a draft if it were certainly right; if that is 0, no draft is made."""
        most = self._n_batch - rows
        if others:
            most = min(_MAX_BESIDE_PROMPTS, most + others - budget.TILE)
        most = min(longest, most)
        return best_length([1.0] * most, self._costs, rows=rows, tokens=tokens)

    def _drafts(self, decoding: list[Sequence], most: int, rows: int, tokens: float) -> list[_Draft]:
        """A draft for each answer: from texts, its grammar or the proposer."""
        drafts = [sequence.draft(most, self._shared_texts.of(sequence.job.owner)) for sequence in decoding]
        proposer = self._proposer
        if proposer is None or not decoding:
            return drafts
        each = proposer.costs.of(len(decoding)) / len(decoding)
        least = each * tokens / max(self._costs.of(rows), 1)
        indices: list[int] = []
        requests: list[ProposalRequest] = []
        for index, (sequence, (_, probabilities)) in enumerate(zip(decoding, drafts, strict=True)):
            if size := self._to_propose(sequence, probabilities, most, each, rows=rows, tokens=tokens):
                indices.append(index)
                requests.append(sequence.proposal_request(size, least))
        for index, proposal in zip(indices, proposer.propose(requests), strict=True):
            probabilities = decoding[index].weigh(proposal)
            if sum(probabilities) > sum(drafts[index][1]):
                drafts[index] = proposal.tokens, probabilities
        return drafts

    def _to_propose(
        self,
        sequence: Sequence,
        probabilities: list[float],
        most: int,
        each: float,
        *,
        rows: int,
        tokens: float,
    ) -> int:
        """Tokens to request from the proposer, which takes `each` nanoseconds for one.

        `probabilities`: of the draft from texts or the grammar, which costs nothing.
        """
        drafter = sequence.drafter
        if drafter is None:
            return 0
        room = sequence.room(min(most, drafter.most))
        length = partial(best_length, costs=self._costs, rows=rows, tokens=tokens)
        rate = partial(throughput, costs=self._costs, rows=rows, tokens=tokens)
        acceptance = drafter.confidence.acceptance(room)
        size = length(acceptance, each=each)
        if not size:
            return drafter.confidence.sample(length([1.0] * room, each=each))
        free = probabilities[: length(probabilities)]
        return size if rate(acceptance[:size], each=each) > rate(free) else 0
