"""Speculative decoding: a draft is evaluated in one batch, and accepted as long as the drawn tokens equal it.

A `Drafter` drafts for one sequence, `SharedTexts` has earlier answers, a `Proposer` (a `DraftModel`, or the
model's own `MtpHead`) drafts for all sequences, and `Costs` decides how long a draft may be.
"""

from puna.engine.drafts.costs import Costs, best_length, throughput
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
    "best_length",
    "has_head",
    "load_draft",
    "open_head",
    "throughput",
]
