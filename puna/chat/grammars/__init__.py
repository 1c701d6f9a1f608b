"""What constrains an answer: a JSON Schema its content, the tools' own schemas its calls.

What a grammar admits is what a family's format reads. Beside the shape of most answers (`behind_markers`)
stand the notations of calls that several families share.
"""

from . import names
from .answer import Calls, Constraint, behind_markers
from .functions import ToolFunction, functions
from .rules import Rules

__all__ = ["Calls", "Constraint", "Rules", "ToolFunction", "behind_markers", "functions", "names"]
