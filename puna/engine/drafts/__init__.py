"""Speculation: tokens that probably come next are evaluated in one batch, and kept as far as they are drawn.

A `Drafter` guesses for one sequence, `SharedTexts` holds earlier answers, a `DraftModel` guesses
for all of them, `Costs` tells how many guesses pay.
"""

from puna.engine.drafts.costs import Costs, promise, worth
from puna.engine.drafts.draft_model import DraftModel, Proposal, ProposalRequest
from puna.engine.drafts.drafter import LONGEST, Drafter
from puna.engine.drafts.loading import load_draft
from puna.engine.drafts.text import SharedTexts, TokenText

__all__ = [
    "LONGEST",
    "Costs",
    "DraftModel",
    "Drafter",
    "Proposal",
    "ProposalRequest",
    "SharedTexts",
    "TokenText",
    "load_draft",
    "promise",
    "worth",
]
