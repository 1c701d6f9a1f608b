"""Speculation: likely next tokens are evaluated in one batch, and kept as long as the draws agree.

A `Drafter` drafts for one sequence, `SharedTexts` holds earlier answers, a `DraftModel` drafts for all
sequences, and `Costs` decides how long a draft may be.
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
