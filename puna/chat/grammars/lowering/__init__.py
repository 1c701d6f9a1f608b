"""JSON Schema as llguidance keeps it: what it cannot say is said by what it can.

Every value of the lowered schema fits the original one; where the two cannot be the same it admits less.
"""

from __future__ import annotations

from .lower import lowered

__all__ = ["lowered"]
