"""Renders messages to prompt text that fits a context; parses answers to content, thinking and tool calls.

Prompts come from a model's Jinja or Go template, or a named renderer. Nothing here does I/O; a template may
be kept and shared.
"""

from .detect import can_call_tools, can_think, family_of
from .earlier import called_with, unthought
from .exchange import Exchange, ToolMode
from .families import PLAIN, named, names_by_architecture, renderer
from .family import Family, Variant
from .fit import fit
from .jinja import jinja
from .modelfile import go, plain
from .parsing import Called, Content, Parser, Part, Thought
from .pictures import MEDIA_MARKER, pictured
from .preference import tells_more
from .prompt import Prompt, Template
from .recognition import GoForm, recognized

__all__ = [
    "MEDIA_MARKER",
    "PLAIN",
    "Called",
    "Content",
    "Exchange",
    "Family",
    "GoForm",
    "Parser",
    "Part",
    "Prompt",
    "Template",
    "Thought",
    "ToolMode",
    "Variant",
    "called_with",
    "can_call_tools",
    "can_think",
    "family_of",
    "fit",
    "go",
    "jinja",
    "named",
    "names_by_architecture",
    "pictured",
    "plain",
    "recognized",
    "renderer",
    "tells_more",
    "unthought",
]
