"""The model's own MTP layer: it predicts the next token from the last one and the hidden state before it.

It follows every batch of its model, because its attention needs its own KV of all earlier tokens. It drafts
further tokens from its own hidden states. Its context has as many cells as its model's, and separate slots.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from puna.engine.drafts.costs import Costs
from puna.engine.drafts.decoding import decode
from puna.engine.drafts.proposal import EvaluatedRows, Proposal, ProposalRequest
from puna.engine.drafts.text import common_prefix
from puna.engine.libllama import Context, LlamaModel
from puna.engine.libllama.mtp import HeadContext, reveal_states, state
from puna.errors import NotNumbers, PunaError

_NOBODY = -1

_MOST_WAITING = 48
"""Rows that may wait for the next draft, to be evaluated in one batch with it."""

_log = logging.getLogger(__name__)

_State = NDArray[np.float32]


@dataclass(eq=False)
class _Followed:
    """A sequence, as far as the layer knows it: from its token `start` on."""

    number: int
    key: int = _NOBODY
    owner: str = ""
    start: int = 0
    tokens: list[int] = field(default_factory=list)
    sure: int = 0
    """Tokens that are not drafts."""
    waiting: list[_State] = field(default_factory=list)
    """For each of the last tokens, which are not in memory yet: the hidden state of the token before."""
    last: _State | None = None
    """The hidden state of the last token; None if it is unknown."""
    used: int = 0
    """The last round that used it."""

    @property
    def end(self) -> int:
        return self.start + len(self.tokens)

    @property
    def evaluated(self) -> int:
        """Tokens in memory."""
        return len(self.tokens) - len(self.waiting)

    def cut(self, size: int) -> None:
        """Forget all but the first `size` tokens, outside memory."""
        if size < len(self.tokens):
            waits = size - self.evaluated
            self.last = self.waiting[waits] if waits >= 0 else None
            del self.waiting[max(0, waits) :], self.tokens[size:]
            self.sure = min(self.sure, size)


@dataclass(eq=False)
class _Part:
    """Rows for a batch: tokens from position `start` on, each with the hidden state of the one before."""

    slot: _Followed
    start: int
    tokens: list[int]
    states: list[_State]


_Drafting = tuple[ProposalRequest, _Followed, Proposal]


class MtpHead:
    """Drafts for all sequences together; its failures never fail a sequence."""

    def __init__(self, model: LlamaModel, target: Context, context: HeadContext) -> None:
        """`context` has as many slots and cells as `target`, the model's own."""
        self.costs = Costs()
        self.model = model
        self._target = target
        self._context = context
        self._slots = [_Followed(number) for number in range(context.n_seq)]
        self._unknown = np.zeros(context.width, np.float32)
        self._round = 0
        self._failed = False
        reveal_states(target)

    # Following

    def follow(self, parts: Sequence[EvaluatedRows]) -> None:
        """Learn the hidden states of the target's last batch. Drafts in it may turn out wrong later."""
        if self._failed:
            return
        self._round += 1
        try:
            slots = [self._slot(part) for part in parts]
            self._catch_up([slot for slot in slots if len(slot.waiting) > _MOST_WAITING])
            for slot, part in zip(slots, parts, strict=True):
                rows = range(part.first, part.first + part.end - part.start + len(part.draft))
                states = [state(self._target, row).copy() for row in rows]
                slot.waiting += [self._before(slot), *states[:-1]]
                slot.last = states[-1]
                slot.tokens += part.tokens[part.start : part.end] + part.draft
                slot.sure = len(slot.tokens) - len(part.draft)
            whole = [slot for slot in slots if slot.sure == len(slot.tokens)]
            self._catch_up([slot for slot in whole if len(slot.waiting) > _MOST_WAITING])
        except (MemoryError, PunaError) as error:
            self._give_up(error)

    def _slot(self, part: EvaluatedRows) -> _Followed:
        """The slot of a sequence, with its tokens before `part.start`, or with none if some are unknown."""
        slot = next((slot for slot in self._slots if slot.key == part.key), None)
        if slot is None:
            slot = min(self._slots, key=lambda slot: slot.used)
            self._branch(slot, part)
        slot.key, slot.owner, slot.used = part.key, part.owner, self._round
        if slot.start <= part.start <= slot.end:
            self._cut(slot, part.start - slot.start)
        else:
            self._clear(slot, part.start)
        return slot

    def _branch(self, slot: _Followed, part: EvaluatedRows) -> None:
        """Fill `slot` from another slot of the same owner, if that holds all tokens before the part.

        Prefixes that the target took from its cache are unknown here, unless a slot still holds them.
        """

        def covers(other: _Followed) -> bool:
            before = part.tokens[other.start : part.start]
            return bool(before) and other.owner == part.owner and other.tokens[: len(before)] == before

        source = next((other for other in self._slots if covers(other)), None)
        if source is slot:
            return
        self._clear(slot, part.start)
        if source is not None:
            slot.start, slot.tokens, slot.sure = source.start, source.tokens[:], source.sure
            slot.waiting, slot.last = source.waiting[:], source.last
            slot.cut(part.start - slot.start)
            self._context.share(source.number, slot.number, slot.start, slot.start + slot.evaluated)

    def _cut(self, slot: _Followed, size: int) -> None:
        before = slot.evaluated
        slot.cut(size)
        if slot.evaluated < before:
            self._context.cut(slot.number, slot.start + slot.evaluated)

    def _clear(self, slot: _Followed, start: int) -> None:
        self._context.free(slot.number)
        slot.start, slot.sure, slot.last = start, 0, None
        slot.tokens, slot.waiting = [], []

    def _before(self, slot: _Followed) -> _State:
        return self._unknown if slot.last is None else slot.last

    # Drafting

    def propose(self, requests: Sequence[ProposalRequest]) -> list[Proposal]:
        """A draft for each; empty for a text that was not followed up to its second-last token."""
        proposals = [Proposal() for _ in requests]
        if self._failed:
            return proposals
        self._round += 1
        turns: list[_Drafting] = []
        for request, proposal in zip(requests, proposals, strict=True):
            slot = next((slot for slot in self._slots if slot.key == request.key), None)
            if slot is not None and self._is_before(slot, request.tokens):
                slot.used = self._round
                turns.append((request, slot, proposal))
        try:
            self._draft(turns)
        except (NotNumbers, MemoryError, PunaError) as error:
            self._give_up(error)
        return proposals

    def _is_before(self, slot: _Followed, tokens: list[int]) -> bool:
        """Forget a slot's wrong drafts; whether it then has all of a text but the last token."""
        drafts = tokens[slot.start + slot.sure : -1]
        self._cut(slot, slot.sure + common_prefix(slot.tokens[slot.sure :], drafts))
        slot.sure = len(slot.tokens)
        return slot.end == len(tokens) - 1

    def _draft(self, turns: list[_Drafting]) -> None:
        """Draft as long as wanted. Evaluated drafts are forgotten again."""
        most = self._context.n_outputs
        if len(turns) + sum(len(slot.waiting) for _, slot, _ in turns) > most:
            self._catch_up([slot for _, slot, _ in turns])
        turns = turns[:most]
        slots = [slot for _, slot, _ in turns]
        parts = [
            _Part(
                slot,
                slot.start + slot.evaluated,
                [*slot.tokens[slot.evaluated :], request.tokens[-1]],
                [*slot.waiting, self._before(slot)],
            )
            for request, slot, _ in turns
        ]
        while parts:
            rows = self._evaluate(parts, outputs=True)
            for slot in slots:
                slot.waiting.clear()
            continuing: list[_Drafting] = []
            next_parts: list[_Part] = []
            for turn, part, row in zip(turns, parts, rows, strict=True):
                request, slot, proposal = turn
                if proposal.extend(request, self._context.logits(row), self.model):
                    continuing.append(turn)
                    own = self._context.state(row).copy()
                    start = part.start + len(part.tokens)
                    next_parts.append(_Part(slot, start, proposal.tokens[-1:], [own]))
            turns, parts = continuing, next_parts
        for slot in slots:
            self._context.cut(slot.number, slot.end)

    def _catch_up(self, slots: list[_Followed]) -> None:
        """Evaluate all that waits in these slots. Raises PunaError."""
        room, parts = self._context.n_batch, list[_Part]()
        for slot in slots:
            while slot.waiting:
                size = min(room, len(slot.waiting))
                at = slot.evaluated
                parts.append(_Part(slot, slot.start + at, slot.tokens[at : at + size], slot.waiting[:size]))
                del slot.waiting[:size]
                room -= size
                if not room:
                    self._evaluate(parts)
                    room, parts = self._context.n_batch, []
        if parts:
            self._evaluate(parts)

    def _evaluate(self, parts: Sequence[_Part], *, outputs: bool = False) -> list[int]:
        """Evaluate rows, of which all want outputs or none; returns each part's last. Raises PunaError."""
        context, at, last = self._context, 0, []
        for part in parts:
            end = at + len(part.tokens)
            context.tokens[at:end] = part.tokens
            context.states[at:end] = part.states
            context.positions[at:end] = range(part.start, part.start + len(part.tokens))
            context.sequences[at:end] = part.slot.number
            last.append(end - 1)
            at = end
        context.wants_output[:at] = outputs
        took = decode(context, at, self._make_room)
        if outputs:
            self.costs.learn(at, took)
        return last

    def _make_room(self) -> bool:
        """Empty the least recently used slot, but none of this round's; False if there is none."""
        others = [slot for slot in self._slots if slot.evaluated and slot.used != self._round]
        if not others:
            return False
        slot = min(others, key=lambda slot: slot.used)
        self._clear(slot, 0)
        slot.key = _NOBODY
        return True

    def _give_up(self, error: Exception) -> None:
        _log.warning("the MTP layer is not asked any more: %s", str(error) or type(error).__name__)
        self._failed = True
