"""JSON Schema's patterns, ECMA 262's regular expressions, as expressions that a grammar can follow."""

from __future__ import annotations

from .tree import InvalidPattern, Unsupported
from .whole import anchored, sayable, searched, whole

__all__ = ["InvalidPattern", "Unsupported", "anchored", "sayable", "searched", "whole"]
