"""Translates JSON Schema's patterns (ECMA 262) to regular expressions that a grammar supports."""

from __future__ import annotations

from .tree import InvalidPattern, Unsupported
from .whole import anchored_patterns, is_found, sayable, whole

__all__ = ["InvalidPattern", "Unsupported", "anchored_patterns", "is_found", "sayable", "whole"]
