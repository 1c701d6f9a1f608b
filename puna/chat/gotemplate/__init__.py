"""Go's text/template for Python values: `parse` makes trees, `Program` runs them within limits.

The language is https://pkg.go.dev/text/template with Ollama's functions; values may have methods without
arguments.
"""

from .evaluate import Program
from .functions import FUNCTIONS
from .nodes import Statements, TemplateNode, cut_after, names, walk
from .parser import Trees, parse
from .values import Absent, Printed, Struct, json_text

__all__ = [
    "FUNCTIONS",
    "Absent",
    "Printed",
    "Program",
    "Statements",
    "Struct",
    "TemplateNode",
    "Trees",
    "cut_after",
    "json_text",
    "names",
    "parse",
    "walk",
]
