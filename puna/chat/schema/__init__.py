"""Reads JSON Schemas: normalises every draft, resolves references, and answers queries about values.

Grammars and parsers use tools' parameters and `format` in this form.
"""

from __future__ import annotations

from .alternatives import object_alternatives
from .document import SchemaDocument, final_target
from .errors import UnsupportedKeyword, invalid
from .inlining import inlined
from .keywords import TYPES, Schema, rebuild
from .reading import (
    Targets,
    constants,
    element,
    kind_of,
    kinds,
    own_kinds,
    parameter,
    parameters,
    resolve,
    standing_alone,
    targets_of,
)

__all__ = [
    "TYPES",
    "Schema",
    "SchemaDocument",
    "Targets",
    "UnsupportedKeyword",
    "constants",
    "element",
    "final_target",
    "inlined",
    "invalid",
    "kind_of",
    "kinds",
    "object_alternatives",
    "own_kinds",
    "parameter",
    "parameters",
    "rebuild",
    "resolve",
    "standing_alone",
    "targets_of",
]
