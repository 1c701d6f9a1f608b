"""Translates JSON Schema's patterns (ECMA 262) to regular expressions that a grammar supports."""

from __future__ import annotations

from .tree import InvalidPattern, Unsupported
from .whole import anchored, sayable, searched, whole

__all__ = ["InvalidPattern", "Unsupported", "anchored", "sayable", "searched", "whole"]
