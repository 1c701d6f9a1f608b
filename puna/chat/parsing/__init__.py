"""A model's answer to content, reasoning and tool calls: pure, in any chunking, each character read once.

A format reads answers (`Tagged` is the shape that most have); a `Stream` runs it over one. Beside them stand
the notations of calls that several families share.
"""

from .parts import Called, Content, Parser, Part, Thought
from .scanner import Malformed, Scanner, Step
from .stream import Format, FormatParser
from .tagged import Expected, Reading, Tagged, ThinkingTags
from .tools import Tools

__all__ = [
    "Called",
    "Content",
    "Expected",
    "Format",
    "FormatParser",
    "Malformed",
    "Parser",
    "Part",
    "Reading",
    "Scanner",
    "Step",
    "Tagged",
    "ThinkingTags",
    "Thought",
    "Tools",
]
