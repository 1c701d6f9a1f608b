"""Lowers JSON Schema to the keywords that llguidance supports; expresses others through these.

Every value of the lowered schema fits the original. Where the two cannot be equal, it admits less.
"""

from __future__ import annotations

from .lower import lower

__all__ = ["lower"]
