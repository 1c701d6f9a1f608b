"""Grammars of answers: content is constrained to a JSON Schema, calls to the tools' schemas.

A grammar allows the answers that the family's format parses. `after_markers` writes most of them; other
modules are call notations of several families.
"""

from . import names
from .answer import Calls, Constraint, after_markers
from .functions import ToolFunction, functions
from .rules import Rules

__all__ = ["Calls", "Constraint", "Rules", "ToolFunction", "after_markers", "functions", "names"]
