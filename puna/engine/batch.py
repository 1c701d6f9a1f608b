"""The rows that a step evaluates: tokens of each sequence, and the drafts after them."""

from __future__ import annotations

from dataclasses import dataclass, field

from puna.engine.libllama import Context, Sampler
from puna.engine.sequence import Sequence


@dataclass(frozen=True, eq=False)
class Share:
    """One sequence's rows: `size` of its tokens, then those of its draft."""

    sequence: Sequence
    size: int
    draft: list[int] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.size + len(self.draft)


@dataclass(frozen=True, eq=False)
class Batch:
    """The shares of a step, in the order of their rows."""

    shares: list[Share]

    @property
    def rows(self) -> int:
        return sum(share.rows for share in self.shares)

    @property
    def has_drafts(self) -> bool:
        return any(share.draft for share in self.shares)

    def __str__(self) -> str:
        """Its shape, for logs."""
        prompts = [share.size for share in self.shares if not share.sequence.decoding]
        drafts = sum(len(share.draft) for share in self.shares)
        answers = len(self.shares) - len(prompts)
        return (
            f"{answers} answers, {drafts} tokens of drafts, {sum(prompts)} tokens of {len(prompts)} prompts"
        )

    def evaluate(self, context: Context) -> int:
        """Evaluate it. Returns the status of `Context.decode`."""
        self._write(context)
        return context.decode(self.rows)

    def _write(self, context: Context) -> None:
        """Fill libllama's batch.

        It requests logits of a sequence's last token, of its draft, and of tokens to report.
        """
        at = 0
        context.wants_output[: self.rows] = 0
        for share in self.shares:
            sequence, start, rows = share.sequence, share.sequence.evaluated, share.rows
            tokens = sequence.tokens[start : start + share.size]
            position = sequence.layout.position(start)
            context.tokens[at : at + rows] = tokens + share.draft
            context.positions[at : at + rows] = range(position, position + rows)
            context.sequences[at : at + rows] = sequence.slot
            at += rows
            if sequence.scoring:
                context.wants_output[at - rows : at] = 1
            if start + share.size == len(sequence.tokens):
                context.wants_output[at - len(share.draft) - 1 : at] = 1

    def draw(self, context: Context) -> None:
        """Draw the next tokens of all sequences in one call, which is faster."""
        row = 0
        last_rows: list[tuple[Sampler, int]] = []
        for share in self.shares:
            if share.size == share.sequence.pending and share.sequence.unbiased:
                last_rows.append((share.sequence.sampler, row + share.size - 1))
            row += share.rows
        context.draw_ahead(last_rows)
