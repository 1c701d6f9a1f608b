"""Speculative decoding: likely next tokens are evaluated in one batch, and kept as long as the draws agree.

A `Drafter` drafts for one sequence, `SharedTexts` holds earlier answers, a `Proposer` (a `DraftModel`, or the
model's own `MtpHead`) drafts for all sequences, and `Costs` decides how long a draft may be.
"""

from puna.engine.drafts.costs import Costs, promise, worth
from puna.engine.drafts.draft_model import DraftModel
from puna.engine.drafts.drafter import LONGEST, Drafter
from puna.engine.drafts.loading import has_head, load_draft, open_head
from puna.engine.drafts.mtp_head import MtpHead
from puna.engine.drafts.proposal import EvaluatedRows, Proposal, ProposalRequest, Proposer
from puna.engine.drafts.text import SharedTexts, TokenText

__all__ = [
    "LONGEST",
    "Costs",
    "DraftModel",
    "Drafter",
    "EvaluatedRows",
    "MtpHead",
    "Proposal",
    "ProposalRequest",
    "Proposer",
    "SharedTexts",
    "TokenText",
    "has_head",
    "load_draft",
    "open_head",
    "promise",
    "worth",
]
