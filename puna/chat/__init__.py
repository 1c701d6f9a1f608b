"""Renders messages to prompt text that fits a context; parses answers to content, thinking and tool calls.

Prompts come from a model's Jinja or Go template, or a named renderer. Nothing here does I/O. Templates are
immutable, so they can be cached and shared.
"""

from .detect import can_call_tools, can_think, family_of
from .earlier import call_arguments, without_thinking
from .exchange import Exchange
from .families import PLAIN, family_named, names_by_architecture, renderer
from .family import Family, Variant
from .fit import fit, render
from .jinja import jinja
from .modelfile import go, plain
from .parsing import Called, Content, Parser, Part, Thought
from .pictures import MEDIA_MARKER, numbered, with_markers
from .preference import jinja_has_more_features
from .prompt import Prompt, Template
from .recognition import KnownTemplate, recognize

__all__ = [
    "MEDIA_MARKER",
    "PLAIN",
    "Called",
    "Content",
    "Exchange",
    "Family",
    "KnownTemplate",
    "Parser",
    "Part",
    "Prompt",
    "Template",
    "Thought",
    "Variant",
    "call_arguments",
    "can_call_tools",
    "can_think",
    "family_named",
    "family_of",
    "fit",
    "go",
    "jinja",
    "jinja_has_more_features",
    "names_by_architecture",
    "numbered",
    "plain",
    "recognize",
    "render",
    "renderer",
    "with_markers",
    "without_thinking",
]
