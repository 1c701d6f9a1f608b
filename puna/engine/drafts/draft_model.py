"""A draft model: a small model of the same vocabulary that predicts the next tokens.

It evaluates prompt and answer in its own context, and then decodes greedily.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress

from puna.engine.budget import PrefillChunk, share
from puna.engine.drafts.costs import Costs
from puna.engine.drafts.decoding import decode
from puna.engine.drafts.proposal import EvaluatedRows, Proposal, ProposalRequest
from puna.engine.drafts.text import common_prefix
from puna.engine.libllama import Context, LlamaModel
from puna.errors import NotNumbers, PunaError

_NOBODY = -1

_MISSING = 1 / 8
"""Part of a sliding window that may be missing: drafts get worse, but nothing is evaluated again."""

_log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Slot:
    number: int
    key: int = _NOBODY
    owner: str = ""
    tokens: list[int] = field(default_factory=list)
    used: int = 0
    """The last round that used it."""


_Turn = tuple[ProposalRequest, _Slot, Proposal]


class DraftModel:
    """Drafts for all sequences together; its failures never fail a sequence."""

    def __init__(self, model: LlamaModel, context: Context, *, n_vocab: int) -> None:
        """`context` can be cut anywhere and has a slot for each sequence. `n_vocab`: tokens of the target
        model."""
        self.costs = Costs()
        self.model = model
        self._context = context
        self._n_vocab = min(n_vocab, model.n_vocab)
        self._longest = min(context.n_ctx, model.n_ctx_train or context.n_ctx)
        self._chunk = PrefillChunk(most=context.n_batch)
        self._slots = [_Slot(number) for number in range(context.n_seq)]
        self._round = 0
        self._failed = False

    def follow(self, parts: Sequence[EvaluatedRows]) -> None:
        """Nothing: it evaluates the text itself when it drafts."""

    def propose(self, requests: Sequence[ProposalRequest]) -> list[Proposal]:
        """A draft for each; empty for a text that is not evaluated yet, or cannot be."""
        proposals = [Proposal() for _ in requests]
        if self._failed:
            return proposals
        try:
            turns = self._turns(zip(requests, proposals, strict=True))
            turns = self._read(turns) if turns else []
            while turns:
                rows = self._evaluate([(slot, proposal.tokens[-1:]) for _, slot, proposal in turns])
                turns = self._take_likeliest(turns, rows)
        except (NotNumbers, MemoryError, PunaError) as error:
            reason = str(error) or type(error).__name__
            _log.warning("the draft model is not asked any more: %s", reason)
            self._failed = True
        return proposals

    def _turns(self, pairs: Iterable[tuple[ProposalRequest, Proposal]]) -> list[_Turn]:
        """Those whose texts fit in the context together, each with its slot."""
        self._round += 1
        room, turns = self._context.n_ctx, []
        for request, proposal in pairs:
            length = len(request.tokens) + request.most
            if length > min(room, self._longest) or max(request.tokens) >= self.model.n_vocab:
                continue
            room -= length
            turns.append((request, self._slot(request), proposal))
        return turns

    def _slot(self, request: ProposalRequest) -> _Slot:
        """The request's slot, with as much of its text as any slot of its owner holds, and nothing else."""

        def known_to(slot: _Slot) -> int:
            return common_prefix(slot.tokens, request.tokens) if slot.owner == request.owner else 0

        slot = next((slot for slot in self._slots if slot.key == request.key), None)
        source = slot or max(self._slots, key=known_to)
        # The last token's row predicts the next one.
        known = min(known_to(source), len(request.tokens) - 1)
        length = known if self._holds(source, known) else 0
        slot = slot or min(self._slots, key=lambda slot: slot.used)
        if slot is source:
            self._context.cut(slot.number, length)
        else:
            self._context.free(slot.number)
            self._context.share(source.number, slot.number, 0, length)
        slot.key, slot.owner, slot.used = request.key, request.owner, self._round
        slot.tokens = source.tokens[:length]
        return slot

    def _holds(self, slot: _Slot, length: int) -> bool:
        """Whether the cells that sliding windows need after the first `length` tokens are still there."""
        window = int((1 - _MISSING) * self.model.n_swa)
        return not window or self._context.first_position(slot.number) <= max(0, length - window)

    def _read(self, turns: list[_Turn]) -> list[_Turn]:
        """Evaluate a chunk of the new tokens, and decode one token for each text that is now whole."""
        missing = [len(request.tokens) - len(slot.tokens) for request, slot, _ in turns]
        sizes = share(missing, self._chunk.size)
        parts = [
            (slot, request.tokens[len(slot.tokens) : len(slot.tokens) + size])
            for (request, slot, _), size in zip(turns, sizes, strict=True)
        ]
        rows = self._evaluate(parts)
        ready = [size == wanted for size, wanted in zip(sizes, missing, strict=True)]
        return self._take_likeliest(list(compress(turns, ready)), list(compress(rows, ready)))

    def _take_likeliest(self, turns: list[_Turn], rows: list[int]) -> list[_Turn]:
        """Take the likeliest token of each row; returns the requests that go on."""
        going = []
        for turn, row in zip(turns, rows, strict=True):
            request, _, proposal = turn
            if proposal.extend(request, self._context.logits(row)[: self._n_vocab], self.model):
                going.append(turn)
        return going

    def _evaluate(self, parts: Sequence[tuple[_Slot, list[int]]]) -> list[int]:
        """Append tokens to each slot and evaluate them; returns each slot's last row. Raises PunaError."""
        context, at, last = self._context, 0, []
        for slot, tokens in parts:
            start, end = len(slot.tokens), at + len(tokens)
            context.tokens[at:end] = tokens
            context.positions[at:end] = range(start, start + len(tokens))
            context.sequences[at:end] = slot.number
            context.wants_output[at:end] = 0
            context.wants_output[end - 1] = 1
            last.append(end - 1)
            at = end
        took = decode(context, at, self._make_room)
        self.costs.learn(at, took)
        self._chunk.learn(at, took)
        for slot, tokens in parts:
            slot.tokens += tokens
        return last

    def _make_room(self) -> bool:
        """Empty the least recently used slot, but none of this round's; False if there is none."""
        others = [slot for slot in self._slots if slot.tokens and slot.used != self._round]
        if not others:
            return False
        slot = min(others, key=lambda slot: slot.used)
        self._context.free(slot.number)
        slot.key, slot.tokens = _NOBODY, []
        return True
