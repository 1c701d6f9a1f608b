"""Messages to prompt text, by a model's Jinja or Go template or a named renderer, cut to fit a context; and
its answer's text back to content, thinking and tool calls.

Nothing here does I/O; a template is made once and may be kept and shared.
"""

from .earlier import called_with, unthought
from .fit import fit
from .grammars import constraint
from .jinja import jinja
from .modelfile import go, plain
from .parsing import (
    Called,
    Content,
    Parser,
    Part,
    Thinking,
    can_call_tools,
    can_think,
    family_of,
    named_abilities,
    parser_for,
    special_tokens,
)
from .pictures import PICTURE, pictured
from .preference import says_more
from .prompt import Prompt, Template
from .recognition import GoForm, recognized
from .renderers import renderer

__all__ = [
    "PICTURE",
    "Called",
    "Content",
    "GoForm",
    "Parser",
    "Part",
    "Prompt",
    "Template",
    "Thinking",
    "called_with",
    "can_call_tools",
    "can_think",
    "constraint",
    "family_of",
    "fit",
    "go",
    "jinja",
    "named_abilities",
    "parser_for",
    "pictured",
    "plain",
    "recognized",
    "renderer",
    "says_more",
    "special_tokens",
    "unthought",
]
