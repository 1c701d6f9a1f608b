"""Grammars of answers: content is constrained to a JSON Schema, calls to the tools' schemas.

A grammar admits what the family's format parses. `after_markers` is the shape of most answers; other
modules are call notations that several families share.
"""

from . import names
from .answer import Calls, Constraint, after_markers
from .functions import ToolFunction, functions
from .rules import Rules

__all__ = ["Calls", "Constraint", "Rules", "ToolFunction", "after_markers", "functions", "names"]
