"""Speculation: tokens that probably come next are evaluated in one batch, and kept as far as they are drawn.

A `Drafter` guesses for one sequence, `SharedTexts` holds earlier answers, `Costs` tells how many guesses pay.
"""

from puna.engine.drafts.costs import Costs, worth
from puna.engine.drafts.drafter import LONGEST, Drafter
from puna.engine.drafts.text import SharedTexts, TokenText

__all__ = ["LONGEST", "Costs", "Drafter", "SharedTexts", "TokenText", "worth"]
